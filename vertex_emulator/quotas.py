"""Quotas per project and region, off unless configured."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import grpc

from vertex_emulator import methods
from vertex_emulator.errors import ApiError

if TYPE_CHECKING:
    from vertex_emulator.clock import Clock
    from vertex_emulator.config import Quotas

_MINUTE = timedelta(minutes=1)
_OPERATIONS = frozenset(
    {"CreateEndpoint", "DeleteEndpoint", "UploadModel", "CopyModel", "ExportModel", "DeleteModel", "DeleteModelVersion"}
    | {
        "CreateCustomJob",
        "CreateBatchPredictionJob",
        "CreateTrainingPipeline",
        "CreatePipelineJob",
        "DeployModel",
        "UndeployModel",
    }
)
_PREDICTIONS = methods.PREDICTIONS


class QuotaMeter:
    """Counts requests of the last compressed minute per project, region and kind."""

    def __init__(self, quotas: Quotas, clock: Clock) -> None:
        self._limits = {
            "online prediction requests": quotas.predictions_per_minute,
            "long-running operation submissions": quotas.operations_per_minute,
            "resource management requests": quotas.crud_per_minute,
        }
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], deque[datetime]] = {}

    def is_metered(self, method: str) -> bool:
        """Whether there is a quota for a method."""
        return self._limits[_kind(method)] is not None

    def check(self, method: str, location: str) -> None:
        """Count one request, or refuse it with RESOURCE_EXHAUSTED."""
        kind = _kind(method)
        limit = self._limits[kind]
        if limit is None:
            return
        now = self._clock()
        with self._lock:
            seen = self._seen.setdefault((kind, location), deque())
            while seen and seen[0] <= now - _MINUTE:
                seen.popleft()
            if len(seen) >= limit:
                raise ApiError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"Quota exceeded for {kind} per minute per region ({limit}) in {location}.",
                )
            seen.append(now)


def _kind(method: str) -> str:
    if method in _PREDICTIONS:
        return "online prediction requests"
    return "long-running operation submissions" if method in _OPERATIONS else "resource management requests"
