"""What happens to every call, by whatever protocol it came: counted, delayed, refused, metered, carried out, logged."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from google.longrunning import operations_pb2

from vertex_emulator import methods
from vertex_emulator.errors import ApiError
from vertex_emulator.messages import Message

if TYPE_CHECKING:
    from vertex_emulator.faults import Faults
    from vertex_emulator.logs import Logs
    from vertex_emulator.permissions import PermissionLog
    from vertex_emulator.quotas import QuotaMeter
    from vertex_emulator.state import State

Handler = Callable[[Any], Any]
"""Takes a raw request; returns a message, a list of them (a stream), or either with the headers of the answer."""
_KEPT_CALLS = 100_000


class Answered(NamedTuple):
    """A call's answer as bytes: what the handlers return is alive, and is serialised while it cannot change."""

    kind: Any
    """The raw protobuf class of the messages."""
    parts: Sequence[bytes]
    """One message, or those of a stream."""
    headers: Mapping[str, str] = MappingProxyType({})

    def messages(self) -> list[Message]:
        """Return independent messages."""
        return [self.kind.FromString(part) for part in self.parts]


Callee = Callable[[Message, str], Answered]
"""One method for whoever serves it: takes the raw request and the routing header ("" without one)."""


@dataclass(frozen=True)
class Served:
    """A method of the emulator as a front end sees it."""

    request: Any
    """The raw class of its requests."""
    call: Callee
    is_streaming: bool = False


class Calls:
    """Carries out calls of all methods but Monitoring's."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        state: State,
        quotas: QuotaMeter,
        faults: Faults,
        logs: Logs,
        permissions: PermissionLog,
    ) -> None:
        self.log: deque[tuple[str, str]] = deque(maxlen=_KEPT_CALLS)
        self.counts: Counter[str] = Counter()
        self._handlers = handlers
        self._state = state
        self._quotas = quotas
        self._faults = faults
        self._logs = logs
        self._permissions = permissions

    def method(self, name: str) -> Callee:
        """Return one method, e.g. ``UploadModel``; it raises ``ApiError`` when it refuses."""
        handler = self._handlers[name]
        full = f"{methods.services_of(name)[0]}/{name}"
        is_locked = name not in methods.UNLOCKED
        is_audited = methods.is_audited(name)
        is_prediction = name in methods.PREDICTIONS
        subject_of = _subject_of(methods.request_type(name))
        faults, note, is_metered = self._faults, self._permissions.note, self._quotas.is_metered(name)

        def call(request: Message, routing: str) -> Answered:
            self.counts[name] += 1
            if not is_prediction:
                self.log.append((name, routing))
            subject = subject_of(request)
            note(full, subject)
            if faults.are_planned:
                if (slowness := faults.slowness(name, subject)) > 0:
                    time.sleep(slowness)
                if (refusal := faults.refusal(name, subject)) is not None:
                    raise refusal
            if is_metered:
                self._quotas.check(name, _location(subject))
            if is_locked:
                with self._state.lock:
                    self._state.settle()
                    answered = _answered(
                        self._change(name, handler, request, subject) if is_audited else handler(request)
                    )
            else:
                answered = _answered(handler(request))
            if faults.are_planned and (lost := faults.lost(name, subject)) is not None:
                raise lost
            return answered

        return call

    def _change(self, method: str, handler: Handler, request: Any, subject: str) -> Any:
        """Carry out a method that changes something, and write its audit entry unless its operation does."""
        try:
            answer = handler(request)
        except ApiError as error:
            self._logs.audit(method, subject, request, error=error)
            raise
        if not isinstance(answer, operations_pb2.Operation):
            self._logs.audit(method, getattr(answer, "name", "") or subject, request, response=answer)
        return answer


def _answered(answer: Any) -> Answered:
    if isinstance(answer, tuple):
        answer, headers = answer
        return _answered(answer)._replace(headers=headers)
    if isinstance(answer, list):
        return Answered(type(answer[0]), [part.SerializeToString() for part in answer])
    return Answered(type(answer), (answer.SerializeToString(),))


def _subject_of(kind: Any) -> Callable[[Any], str]:
    """Return what reads, off a request of a class, the resource that it is about."""
    fields = kind.DESCRIPTOR.fields_by_name
    known = [name for name in ("parent", "name", "endpoint", "model") if name in fields]

    def subject(request: Any) -> str:
        for name in known:
            value = getattr(request, name)
            found = value if isinstance(value, str) else getattr(value, "name", "")
            if found:
                return str(found)
        return ""

    return subject


def _location(subject: str) -> str:
    return "/".join(subject.split("/")[:4])
