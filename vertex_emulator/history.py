"""Every traffic split that was ever in force, with the models that stood behind it: what tests and demonstrations assert."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DeployedSnapshot:
    """One deployed model at one moment."""

    id: str
    model: str
    version: str
    replicas: int
    """Replicas that were ready."""


@dataclass(frozen=True)
class EndpointSnapshot:
    """An endpoint's split, and what was deployed, from ``time`` on."""

    time: datetime
    endpoint: str
    traffic_split: Mapping[str, int]
    deployed: tuple[DeployedSnapshot, ...]

    @property
    def is_sound(self) -> bool:
        """Whether all traffic goes to models that can answer: the split is empty, or 100 over ready models."""
        ready = {model.id for model in self.deployed if model.replicas > 0}
        with_traffic = {deployed_id for deployed_id, share in self.traffic_split.items() if share}
        return not self.traffic_split or (sum(self.traffic_split.values()) == 100 and with_traffic <= ready)


class History:
    """Snapshots per endpoint, oldest first."""

    def __init__(self, on_change: Callable[[EndpointSnapshot], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._snapshots: dict[str, list[EndpointSnapshot]] = {}
        self._on_change = on_change

    def record(self, snapshot: EndpointSnapshot) -> None:
        """Add a snapshot; it is called with the state's lock held, so a hook must not call the emulator or raise."""
        with self._lock:
            self._snapshots.setdefault(snapshot.endpoint, []).append(snapshot)
        if self._on_change is not None:
            self._on_change(snapshot)

    def of(self, endpoint: str) -> list[EndpointSnapshot]:
        """Return an endpoint's history, given its name (with the project's number) or its id."""
        with self._lock:
            for name, snapshots in self._snapshots.items():
                if endpoint in (name, name.rsplit("/", 1)[-1]):
                    return list(snapshots)
        return []

    def all(self) -> list[EndpointSnapshot]:
        """Return the history of all endpoints, in order of time."""
        with self._lock:
            return sorted((s for snapshots in self._snapshots.values() for s in snapshots), key=lambda s: s.time)

    def clear(self) -> None:
        """Forget all snapshots."""
        with self._lock:
            self._snapshots.clear()
