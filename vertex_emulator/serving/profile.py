"""How a simulated model behaves: latency, errors, capacity and the distribution of what it predicts.

Declared by the container's environment (``SIM_LATENCY_MS=40``, ``SIM_LATENCY_SPREAD``, ``SIM_ERROR_RATE``,
``SIM_CAPACITY_RPS``, ``SIM_NOISE``, ``SIM_OUTPUTS={"tokens": {"mean": 180, "sd": 50, "low": 64, "high": 400}}``), above what
the configuration says of the image, and overridden at run time through ``ProfileBook``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

KNEE = 0.8
"""Utilisation up to which latency does not rise."""
WORST_LATENCY = 12.0
"""Latency never rises above so many times the declared one: requests are shed then."""


@dataclass(frozen=True)
class Output:
    """One number of each prediction: normally distributed over instances, within limits."""

    mean: float
    sd: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")
    whole: bool = False
    """Whether it is rounded to a whole number."""


@dataclass(frozen=True)
class Profile:
    """The behaviour of one simulated model."""

    latency_ms: float = 30.0
    """Median time to answer below the knee, real milliseconds."""
    latency_spread: float = 0.25
    """Standard deviation of the logarithm of the latency; 0 makes it constant."""
    error_rate: float = 0.0
    """Share of requests answered with 500."""
    capacity_rps: float = 100.0
    """Requests per real second that one replica carries."""
    noise: float = 0.0
    """How much predictions for the same instance differ from another version's, in standard deviations of an output."""
    outputs: Mapping[str, Output] = field(default_factory=lambda: {"score": Output(0.5, 0.15, 0, 1)})


@dataclass(frozen=True)
class Strain:
    """What load does to a replica."""

    latency_factor: float
    shed: float
    """Share of requests answered with 503."""


def strain(utilisation: float) -> Strain:
    """Return what happens at a utilisation (1 = all replicas full).

    Up to the knee nothing. From there to capacity latency doubles, and beyond it grows with the square of the load, while
    the part that does not fit is shed. A queueing model would say infinity; servers have queues that end.
    """
    if utilisation <= KNEE:
        return Strain(1.0, 0.0)
    if utilisation <= 1:
        return Strain(1 + (utilisation - KNEE) / (1 - KNEE), 0.0)
    return Strain(min(2 * utilisation**2, WORST_LATENCY), 1 - 1 / utilisation)


def read_profile(values: Mapping[str, Any], base: Profile | None = None) -> Profile:
    """Return a profile from a mapping with the names of ``Profile``; numbers may be text."""
    base = base or Profile()
    changes: dict[str, Any] = {
        name: float(values[name])
        for name in ("latency_ms", "latency_spread", "error_rate", "capacity_rps", "noise")
        if name in values
    }
    if "outputs" in values:
        outputs = values["outputs"]
        parsed = json.loads(outputs) if isinstance(outputs, str) else outputs
        changes["outputs"] = {name: Output(**output) for name, output in parsed.items()}
    return replace(base, **changes)


def profile_from_environment(environment: Mapping[str, str], base: Profile) -> Profile:
    """Return the profile that a container's ``SIM_*`` variables declare."""
    return read_profile(
        {name[4:].lower(): value for name, value in environment.items() if name.startswith("SIM_")}, base
    )


class ProfileBook:
    """Overrides of declared profiles, by model (``arr-coc``) or version (``arr-coc@3``), effective at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._overrides: dict[str, Profile] = {}

    def override(self, model: str, profile: Profile | None) -> None:
        """Let a model behave differently from now on; ``None`` returns it to what it declares."""
        with self._lock:
            overrides = dict(self._overrides)
            overrides.pop(model, None)
            if profile is not None:
                overrides[model] = profile
            self._overrides = overrides

    def current(self, model: str, version: str, declared: Profile) -> Profile:
        """Return the profile in force."""
        overrides = self._overrides
        if not overrides:
            return declared
        return overrides.get(f"{model}@{version}") or overrides.get(model) or declared
