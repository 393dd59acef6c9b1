"""Logistic regression over named features: the second kind of model, as plain as a tabular model can be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .artifact import ArtifactError
from .behaviour import Behaviour


@dataclass(frozen=True, slots=True)
class TabularModel:
    """Weights by feature; an instance is an object with a number for each, and optionally an ``id``."""

    weights: Mapping[str, float]
    bias: float
    kind: str = "tabular"

    def check(self, instance: object, where: str) -> str | None:
        """What is wrong with the instance, or None; features that the model does not know are ignored."""
        if not isinstance(instance, dict):
            return f"{where}: must be an object with the features {', '.join(self.weights)}"
        for name in self.weights:
            if not _is_number(instance.get(name)):
                return f"{where}.{name}: must be a number, found {instance.get(name)!r:.80}"
        return None

    def check_parameters(self, parameters: Mapping[str, Any]) -> str | None:
        """What is wrong with the parameters, or None: ``threshold`` is the probability from which the label is 1."""
        threshold = parameters.get("threshold", 0.5)
        if not _is_number(threshold) or not 0 <= threshold <= 1:
            return f"parameters.threshold: must be a number from 0 to 1, found {threshold!r:.80}"
        return None

    def instance_id(self, instance: Mapping[str, Any]) -> str:
        """The instance's ``id``, or its content where it has none."""
        return str(instance["id"]) if "id" in instance else json.dumps(instance, sort_keys=True)

    def score(self, instance: Mapping[str, Any], parameters: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
        """The probability of label 1, and the label at the threshold; nothing in ``behaviour`` changes them."""
        logit = self.bias + sum(weight * instance[name] for name, weight in self.weights.items())
        probability = 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
        return {"probability": round(probability, 6), "label": int(probability >= parameters.get("threshold", 0.5))}


def tabular_model(artifact: Mapping[str, Any]) -> TabularModel:
    """The model that an artifact of kind ``tabular`` describes."""
    weights, bias = artifact.get("weights"), artifact.get("bias", 0.0)
    if not isinstance(weights, dict) or not weights or not all(_is_number(weight) for weight in weights.values()):
        raise ArtifactError("model.json: weights: must be an object of feature: number with at least one feature")
    if not _is_number(bias):
        raise ArtifactError(f"model.json: bias: must be a number, found {bias!r}")
    return TabularModel({str(name): float(weight) for name, weight in weights.items()}, float(bias))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
