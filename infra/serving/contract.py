"""What Vertex AI tells a custom container, and what the container's owner may tune, read from the environment.

Vertex AI sets the ``AIP_*`` variables when it starts the container (custom-container requirements, "Environment
variables"; ``ModelContainerSpec`` in ``model.proto``). The other variables are this image's own and are set with
``container_spec.env``. Nothing else in this folder reads the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

PUBLIC_ENDPOINT_LIMIT = 1_572_864
"""Bytes: a shared public endpoint refuses a larger request (1.5 MB) before any container sees it."""

DEFAULT_PORT = 8080
"""``ModelContainerSpec.ports``: the port when none is declared."""

_Number = TypeVar("_Number", int, float)


class ContractError(Exception):
    """The environment does not describe a server that could be started."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The container's side of the contract, with the documented defaults filled in."""

    storage_uri: str
    """Directory of the artifact: ``gs://...`` on Vertex AI, a path or ``file://...`` elsewhere."""
    port: int = DEFAULT_PORT
    """0 lets the kernel choose; the first log line names the choice."""
    health_route: str = "/health"
    predict_route: str = "/predict"
    endpoint_id: str = ""
    deployed_model_id: str = ""
    host: str = "127.0.0.1"
    """The image listens on all interfaces (its Dockerfile says so); a process on a developer's machine does not."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How requests are batched and bounded."""

    batch_instances: int = 32
    """Most instances in one model call."""
    batch_wait_ms: float = 0.0
    """How long an instance may wait for company while the model is free; 0 adds no latency to a lonely request."""
    model_concurrency: int = 64
    """Model calls at the same time; while all are busy, waiting requests gather into larger batches."""
    max_request_bytes: int = PUBLIC_ENDPOINT_LIMIT
    """A dedicated endpoint accepts more (10 MB): raise it there."""
    grace_seconds: float = 10.0
    """After SIGTERM: how long requests in flight may take to finish."""


def contract_from(env: Mapping[str, str]) -> Contract:
    """The contract as the environment states it.

    Vertex AI always sets the two routes. Where they are missing but the ids are there, the documented default path is
    used, the same for both; where even the ids are missing (a developer's machine) it is ``/health`` and ``/predict``.
    """
    storage_uri = env.get("AIP_STORAGE_URI", "")
    if not storage_uri:
        raise ContractError(
            "AIP_STORAGE_URI is not set: name the directory that holds model.json (a path, file:// or gs://)"
        )
    endpoint_id, deployed_model_id = env.get("AIP_ENDPOINT_ID", ""), env.get("AIP_DEPLOYED_MODEL_ID", "")
    documented = (
        f"/v1/endpoints/{endpoint_id}/deployedModels/{deployed_model_id}:predict"
        if endpoint_id and deployed_model_id
        else ""
    )
    return Contract(
        storage_uri=storage_uri,
        port=_number(env, "AIP_HTTP_PORT", DEFAULT_PORT, int, low=0, high=65535),
        health_route=_route(env, "AIP_HEALTH_ROUTE", documented or "/health"),
        predict_route=_route(env, "AIP_PREDICT_ROUTE", documented or "/predict"),
        endpoint_id=endpoint_id,
        deployed_model_id=deployed_model_id,
        host=env.get("SERVING_HOST", "127.0.0.1"),
    )


def tuning_from(env: Mapping[str, str]) -> Tuning:
    """The image's own settings; every one has a default that suits a small model."""
    return Tuning(
        batch_instances=_number(env, "BATCH_MAX_INSTANCES", 32, int, low=1, high=100_000),
        batch_wait_ms=_number(env, "BATCH_WAIT_MS", 0.0, float, low=0, high=10_000),
        model_concurrency=_number(env, "MODEL_CONCURRENCY", 64, int, low=1, high=100_000),
        max_request_bytes=_number(env, "MAX_REQUEST_BYTES", PUBLIC_ENDPOINT_LIMIT, int, low=1, high=1 << 30),
        grace_seconds=_number(env, "GRACE_SECONDS", 10.0, float, low=0, high=3600),
    )


def clock_rate_from(env: Mapping[str, str]) -> float:
    """Compressed seconds per wall second; 1 wherever time is not compressed."""
    return _number(env, "CLOCK_RATE", 1.0, float, low=0.001, high=1e6)


def _number(
    env: Mapping[str, str], name: str, default: _Number, parse: Callable[[str], _Number], *, low: float, high: float
) -> _Number:
    text = env.get(name, "")
    if not text:
        return default
    try:
        value = parse(text)
    except ValueError:
        raise ContractError(f"{name}={text!r} is not a number of the form {default!r}") from None
    if not low <= value <= high:
        raise ContractError(f"{name}={text} is outside {low:g} to {high:g}")
    return value


def _route(env: Mapping[str, str], name: str, default: str) -> str:
    route = env.get(name) or default
    if not route.startswith("/"):
        raise ContractError(f"{name}={route!r} must be an absolute path such as {default!r}")
    return route
