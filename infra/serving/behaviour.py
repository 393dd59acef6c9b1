"""How a model was declared to behave beyond its answers: slow, failing, spending too many tokens, or worse after a while.

Demonstrations and tests need bad versions. A version's faults are written in its artifact, openly, and everything that
is drawn at random is drawn from (seed, instance id): the same instance meets the same fate on every run.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .artifact import ArtifactError

CONTROL_FILE = "control.json"
CONTROL_INTERVAL = 0.2
"""Wall seconds between two looks at the control file."""

_LIMITS = {"latency_ms": 60_000.0, "jitter_ms": 60_000.0, "error_rate": 1.0, "tokens_scale": 10.0, "load_ms": 600_000.0}


def draw(seed: int, instance_id: str, purpose: str) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}\0{instance_id}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Degradation:
    """What changes, and when: after so many requests, or so many seconds, counted from when the behaviour took effect."""

    changes: tuple[tuple[str, float], ...]
    requests: float | None = None
    seconds: float | None = None
    """Compressed seconds where ``CLOCK_RATE`` is set."""

    def is_due(self, requests: int, seconds: float) -> bool:
        """Whether either threshold has been passed."""
        return (self.requests is not None and requests > self.requests) or (
            self.seconds is not None and seconds >= self.seconds
        )


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The declared behaviour; the default is that of a sound model."""

    latency_ms: float = 0.0
    """What every model call takes."""
    jitter_ms: float = 0.0
    """Mean of an exponential tail on top: the 95th percentile lies at ``latency_ms + 3 * jitter_ms``."""
    error_rate: float = 0.0
    """Share of instances on which the model fails."""
    tokens_scale: float = 1.0
    """Factor on the tokens of the relevance model; other models ignore it."""
    load_ms: float = 0.0
    """How long loading takes; the container is unhealthy until then."""
    degrade_after: Degradation | None = None

    def at(self, requests: int, seconds: float) -> Behaviour:
        """The behaviour in force after that many requests and seconds."""
        later = self.degrade_after
        if later is None or not later.is_due(requests, seconds):
            return self
        return replace(self, degrade_after=None, **dict(later.changes))

    def latency_of(self, seed: int, instance_id: str) -> float:
        """Milliseconds that this instance takes; a call takes as long as its slowest instance."""
        if not self.jitter_ms:
            return self.latency_ms
        return self.latency_ms - self.jitter_ms * math.log(1 - draw(seed, instance_id, "latency"))

    def fails_on(self, seed: int, instance_id: str) -> bool:
        """Whether the model fails on this instance."""
        return self.error_rate > 0 and draw(seed, instance_id, "error") < self.error_rate


def behaviour_from(raw: object, where: str, base: Behaviour | None = None) -> Behaviour:
    """The behaviour written in ``raw``; keys that it does not name are those of ``base``."""
    values = dict(_object(raw, where))
    later = values.pop("degrade_after", None)
    changed: dict[str, Any] = dict(_numbers(values, where))
    if later is not None:
        changed["degrade_after"] = _degradation(later, f"{where}.degrade_after")
    return replace(base or Behaviour(), **changed)


def _degradation(raw: object, where: str) -> Degradation:
    values = dict(_object(raw, where))
    requests, seconds = (_threshold(values.pop(name, None), f"{where}.{name}") for name in ("requests", "seconds"))
    if requests is None and seconds is None:
        raise ArtifactError(f"{where}: say when, with 'requests' or 'seconds'")
    return Degradation(_numbers(values, where), requests, seconds)


def _threshold(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ArtifactError(f"{where}: must be a number of 0 or more, found {value!r}")
    return value


def _numbers(values: Mapping[str, object], where: str) -> tuple[tuple[str, float], ...]:
    for name, value in values.items():
        if name not in _LIMITS:
            raise ArtifactError(f"{where}.{name}: unknown; known are {', '.join(_LIMITS)}, degrade_after")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LIMITS[name]:
            raise ArtifactError(f"{where}.{name}: must be a number from 0 to {_LIMITS[name]:g}, found {value!r}")
    return tuple((name, float(value)) for name, value in values.items() if isinstance(value, int | float))


def _object(raw: object, where: str) -> Mapping[str, object]:
    if not isinstance(raw, dict):
        raise ArtifactError(f"{where}: must be an object, found {raw!r}")
    return raw


class BehaviourSource:
    """The behaviour in force now: what the artifact declares, overridden by ``control.json`` beside it.

    The control file, ``{"behaviour": {...}}``, changes a running model: keys that it names replace the declared ones, and
    removing it restores them. An unreadable one is reported once and changes nothing. Counting starts again
    with every change.
    """

    def __init__(
        self,
        declared: Behaviour,
        directory: Path,
        *,
        clock_rate: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._declared = declared
        self._control = directory / CONTROL_FILE
        self._clock_rate = clock_rate
        self._monotonic = monotonic
        self._seen: tuple[int, int] | None = None
        self._next_look = 0.0
        self._install(declared)

    def in_force(self) -> Behaviour:
        """The behaviour of a call that starts now."""
        now = self._monotonic()
        if now >= self._next_look:
            self._next_look = now + CONTROL_INTERVAL
            self._look()
        return self._current.at(self._requests, (self._monotonic() - self._since) * self._clock_rate)

    def count_request(self) -> None:
        """One more request was admitted."""
        self._requests += 1

    def _install(self, behaviour: Behaviour) -> None:
        self._current, self._requests, self._since = behaviour, 0, self._monotonic()

    def _look(self) -> None:
        try:
            found = self._control.stat()
        except FileNotFoundError:
            if self._seen is not None:
                self._seen = None
                self._install(self._declared)
            return
        seen = (found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            content = _object(json.loads(self._control.read_bytes()), CONTROL_FILE)
            behaviour = behaviour_from(content.get("behaviour"), f"{CONTROL_FILE}: behaviour", self._declared)
        except (OSError, ValueError, ArtifactError) as error:
            print(json.dumps({"severity": "WARNING", "message": f"control file ignored: {error}"}), file=sys.stderr)
            return
        self._install(behaviour)
