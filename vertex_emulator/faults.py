"""Faults that a test or a demonstration injects: refused calls, lost answers, slow answers, failing operations.

A fault is planned for one method (``DeployModel``, ``EndpointService/DeployModel``, ``google.monitoring.v3.MetricService/ListTimeSeries``),
for a service (``MetricService/*``) or for all (``*``); for every resource or for those whose name contains a text, which is how
one region or one endpoint fails; each time or with a probability, drawn from a seed of its own.
"""

from __future__ import annotations

import functools
import itertools
import random
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import grpc

from vertex_emulator import methods
from vertex_emulator.errors import ApiError

QUOTA = "The following quotas are exceeded: CustomModelServingCPUs"
NEVER_HEALTHY = (
    "Model server never became ready. Please validate that your model file or container configuration are valid."
)
EVERYTHING = "*"


class Kind(StrEnum):
    """What goes wrong."""

    FAIL = "fail"
    """The call is refused; nothing is changed by it."""
    LOSE = "lose"
    """The call is carried out, and answered with an error: the client cannot know."""
    DELAY = "delay"
    """The call is answered later, by wall seconds."""
    OPERATION = "operation"
    """The operation that the call starts ends with an error; for ``Create*Job``, the job."""
    DURATION = "duration"
    """The operation that the call starts takes so many compressed seconds."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault, and when it happens."""

    kind: Kind
    method: str = EVERYTHING
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    message: str = "Injected fault."
    seconds: float = 0.0
    times: int | None = 1
    """How often it happens; ``None`` means until it is cleared."""
    probability: float = 1.0
    """With which each call that it is meant for meets it."""
    seed: int = 1
    resource: str = ""
    """A part of the name of the resources that it is meant for, e.g. ``locations/us-east1/``; "" for all."""


@dataclass
class _Planned:
    id: str
    fault: Fault
    happened: int = 0
    random: random.Random = field(default_factory=random.Random)

    @property
    def is_used_up(self) -> bool:
        return self.fault.times is not None and self.happened >= self.fault.times

    def happens(self) -> bool:
        if self.fault.probability < 1 and self.random.random() >= self.fault.probability:
            return False
        self.happened += 1
        return True


class Faults:
    """Planned faults; of several that are meant for a call, the one planned first happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[Kind, list[_Planned]] = defaultdict(list)
        self._ids = itertools.count(1)

    @property
    def are_planned(self) -> bool:
        """Whether any may happen: what a call asks before it asks for each kind."""
        return bool(self._plans)

    def plan(self, fault: Fault) -> str:
        """Plan a fault; returns the id by which it can be cleared."""
        with self._lock:
            planned = _Planned(str(next(self._ids)), fault)
            planned.random.seed(fault.seed)
            self._plans[fault.kind].append(planned)
            return planned.id

    def fail(
        self,
        method: str,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        times: int | None = 1,
        message: str = "Injected fault.",
    ) -> None:
        """Refuse the next calls; nothing is changed by them."""
        self.plan(Fault(Kind.FAIL, method, code, message, times=times))

    def lose_answer(
        self, method: str, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, times: int | None = 1
    ) -> None:
        """Carry the next calls out, and answer them with an error: the client cannot know."""
        self.plan(Fault(Kind.LOSE, method, code, "Injected fault: applied, but the answer is lost.", times=times))

    def delay(self, method: str, seconds: float, times: int | None = None) -> None:
        """Answer the next calls later, by wall seconds."""
        self.plan(Fault(Kind.DELAY, method, seconds=seconds, times=times))

    def fail_operation(
        self,
        method: str,
        code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED,
        message: str = QUOTA,
        times: int | None = 1,
    ) -> None:
        """Let the next operations that the method starts end with an error; for ``Create*Job``, the job."""
        self.plan(Fault(Kind.OPERATION, method, code, message, times=times))

    def never_healthy(self, times: int | None = 1) -> None:
        """Let the next deployments fail as for a container that never answers its health route."""
        self.fail_operation("DeployModel", grpc.StatusCode.FAILED_PRECONDITION, NEVER_HEALTHY, times)

    def set_duration(self, method: str, seconds: float, times: int | None = 1) -> None:
        """Let the next operations that the method starts take so many compressed seconds."""
        self.plan(Fault(Kind.DURATION, method, seconds=seconds, times=times))

    def listed(self) -> list[tuple[str, Fault, int]]:
        """Return what is planned and not used up, oldest first: id, fault, how often it has happened."""
        with self._lock:
            found = [p for plans in self._plans.values() for p in plans if not p.is_used_up]
        return [(p.id, p.fault, p.happened) for p in sorted(found, key=lambda p: int(p.id))]

    def clear(self, id_: str = "") -> bool:
        """Forget one fault, or everything that is planned; whether there was something."""
        with self._lock:
            before = sum(map(len, self._plans.values()))
            kept = {kind: [p for p in plans if id_ and p.id != id_] for kind, plans in self._plans.items()}
            self._plans.clear()
            self._plans.update({kind: plans for kind, plans in kept.items() if plans})
            return sum(map(len, self._plans.values())) < before

    def refusal(self, method: str, resource: str = "") -> ApiError | None:
        """What a call that has just arrived is refused with."""
        return _error(self._take(Kind.FAIL, method, resource))

    def lost(self, method: str, resource: str = "") -> ApiError | None:
        """What a call that was carried out is answered with instead of its answer."""
        return _error(self._take(Kind.LOSE, method, resource))

    def slowness(self, method: str, resource: str = "") -> float:
        """By how many wall seconds a call's answer is late."""
        fault = self._take(Kind.DELAY, method, resource)
        return fault.seconds if fault else 0

    def operation_error(self, method: str, resource: str = "") -> ApiError | None:
        """How the operation that is being started will end, if not well."""
        return _error(self._take(Kind.OPERATION, method, resource))

    def duration(self, method: str, default: float, resource: str = "") -> float:
        """How many compressed seconds the operation that is being started takes."""
        fault = self._take(Kind.DURATION, method, resource)
        return fault.seconds if fault else default

    def _take(self, kind: Kind, method: str, resource: str) -> Fault | None:
        if not self._plans:
            return None
        with self._lock:
            plans = self._plans.get(kind)
            if not plans:
                return None
            plans[:] = [planned for planned in plans if not planned.is_used_up]
            names = _names(method)
            for planned in plans:
                fault = planned.fault
                if fault.method in names and fault.resource in resource and planned.happens():
                    return fault
            return None


def _error(fault: Fault | None) -> ApiError | None:
    return ApiError(fault.code, fault.message) if fault else None


@functools.cache
def _names(method: str) -> frozenset[str]:
    """Return all that a fault may call a method: ``M``, ``Service/M``, its full name, ``Service/*``, ``*``."""
    service, _, short = method.rpartition("/")
    services = [service] if service else methods.services_of(short)
    named = {name for full in services for name in (full, full.rpartition(".")[2])}
    return frozenset({EVERYTHING, short, *(f"{name}/{last}" for name in named for last in (short, "*"))})


def known_names(full_names: Iterable[str]) -> frozenset[str]:
    """Return everything that a fault may call these methods, for whoever checks what a person typed."""
    return frozenset[str]().union(*(_names(name) for name in full_names))


def fault_from(document: Mapping[str, Any], known: frozenset[str]) -> Fault:
    """Return the fault that a mapping describes; ``ValueError`` says what is wrong with it."""
    allowed = set(Fault.__dataclass_fields__)
    if unknown := sorted(set(document) - allowed):
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(allowed))}")
    values = dict(document)
    kinds = [str(kind) for kind in Kind]
    if values.get("kind") not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}, not {values.get('kind')!r}")
    values["kind"] = Kind(values["kind"])
    if values.get("method", EVERYTHING) not in known:
        raise ValueError(f"no method is called {values['method']!r}: give M, Service/M, Service/* or *")
    if "code" in values:
        if values["code"] not in grpc.StatusCode.__members__:
            raise ValueError(f"{values['code']!r} is not a status code, e.g. UNAVAILABLE")
        values["code"] = grpc.StatusCode[values["code"]]
    for name, kind, lowest in (("seconds", float, 0), ("probability", float, 0), ("seed", int, 0), ("times", int, 1)):
        if values.get(name) is not None:
            values[name] = kind(values[name])
            if values[name] < lowest:
                raise ValueError(f"{name} must be at least {lowest}, not {values[name]}")
    return Fault(**values)


def as_document(id_: str, fault: Fault, happened: int) -> dict[str, Any]:
    """Return a planned fault as JSON has it."""
    values = {name: getattr(fault, name) for name in Fault.__dataclass_fields__}
    return {"id": id_, **values, "kind": str(fault.kind), "code": fault.code.name, "happened": happened}
