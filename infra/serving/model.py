"""Loads a model from its artifact and serves calls to it with the behaviour that is in force.

This is the module to replace for a model of your own: ``ServedModel.admit`` checks one request, ``ServedModel.predict``
answers one batch. A model that computes for longer than a millisecond should do so in ``asyncio.to_thread``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .artifact import ArtifactError
from .behaviour import Behaviour, BehaviourSource, behaviour_from
from .relevance import relevance_model
from .tabular import tabular_model

MODEL_FILE = "model.json"


class BadRequestError(Exception):
    """The request's body is not one that the model can answer; the caller has to change it."""


class ModelError(Exception):
    """The model failed on an instance; the caller did nothing wrong."""


class Scorer(Protocol):
    """What a kind of model has to be able to do."""

    @property
    def kind(self) -> str: ...
    def check(self, instance: object, where: str) -> str | None: ...
    def check_parameters(self, parameters: Mapping[str, Any]) -> str | None: ...
    def instance_id(self, instance: Mapping[str, Any]) -> str: ...
    def score(
        self, instance: Mapping[str, Any], parameters: Mapping[str, Any], behaviour: Behaviour
    ) -> dict[str, Any]: ...


class ServedModel:
    """A loaded model; every call costs the declared latency and may fail on the declared share of instances."""

    def __init__(self, scorer: Scorer, seed: int, behaviour: BehaviourSource) -> None:
        self._scorer = scorer
        self._seed = seed
        self._behaviour = behaviour

    @property
    def kind(self) -> str:
        """The kind of model, as in the artifact."""
        return self._scorer.kind

    def admit(self, instances: Sequence[object], parameters: Mapping[str, Any]) -> None:
        """Check one request as a whole; raise ``BadRequestError`` with the first thing that is wrong."""
        self._behaviour.count_request()
        problem = self._scorer.check_parameters(parameters)
        if problem is not None:
            raise BadRequestError(problem)
        for index, instance in enumerate(instances):
            problem = self._scorer.check(instance, f"instances[{index}]")
            if problem is not None:
                raise BadRequestError(problem)

    async def predict(
        self, instances: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]
    ) -> list[dict[str, Any] | ModelError]:
        """One model call: an answer, or the failure, for each instance in order."""
        behaviour = self._behaviour.in_force()
        ids = [self._scorer.instance_id(instance) for instance in instances]
        latency = max((behaviour.latency_of(self._seed, instance_id) for instance_id in ids), default=0.0)
        if latency:
            await asyncio.sleep(latency / 1000)
        return [
            ModelError(f"the model failed on instance {instance_id!r:.80}")
            if behaviour.fails_on(self._seed, instance_id)
            else self._scorer.score(instance, parameters, behaviour)
            for instance, instance_id in zip(instances, ids, strict=True)
        ]


def read_artifact(directory: Path) -> Mapping[str, Any]:
    """The content of ``model.json``."""
    path = directory / MODEL_FILE
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path}: missing; an artifact is a directory with {MODEL_FILE}") from None
    except ValueError as error:
        raise ArtifactError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: must hold an object")
    return content


async def load(directory: Path, *, clock_rate: float = 1.0) -> ServedModel:
    """The model in ``directory``, after the load time that it declares."""
    artifact = read_artifact(directory)
    seed = artifact.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ArtifactError(f"{MODEL_FILE}: seed: must be a whole number, found {seed!r}")
    behaviour = behaviour_from(artifact.get("behaviour", {}), f"{MODEL_FILE}: behaviour")
    scorer: Scorer
    match artifact.get("kind"):
        case "relevance":
            scorer = relevance_model(artifact, seed)
        case "tabular":
            scorer = tabular_model(artifact)
        case other:
            raise ArtifactError(f"{MODEL_FILE}: kind: must be 'relevance' or 'tabular', found {other!r}")
    await asyncio.sleep(behaviour.load_ms / 1000)
    return ServedModel(scorer, seed, BehaviourSource(behaviour, directory, clock_rate=clock_rate))
