"""The ways in which one outgoing call goes wrong, and which of them a call can meet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import grpc


class Fault(StrEnum):
    """What happens to one call."""

    KILL_BEFORE = "killed before"
    """The process dies; nothing was sent."""
    KILL_AFTER = "killed after"
    """The call was carried out, and the process dies with the answer."""
    UNAVAILABLE = "error before"
    """Refused until the delivery ends: the clients repeat some calls by themselves."""
    LOST = "answer lost"
    """Carried out, answered with UNAVAILABLE."""
    DEADLINE = "deadline"
    """DEADLINE_EXCEEDED; a write was carried out."""
    QUOTA = "429"
    """RESOURCE_EXHAUSTED until the delivery ends; nothing was done."""
    ABORTED = "ABORTED"
    """The etag is said to be stale, although nobody wrote."""
    OTHER_WRITER = "another writer"
    """Somebody changes the endpoint between our read and our write."""
    NO_ETAGS = "etags ignored"
    """The same, and Vertex AI does not look at etags at all."""
    EXISTS = "ALREADY_EXISTS"
    """Carried out, and answered as if it had been there: a request that the network repeated."""
    OPERATION = "operation fails"
    """The operation that is started ends with an error that may pass."""

    @property
    def kills(self) -> bool:
        return self in (Fault.KILL_BEFORE, Fault.KILL_AFTER)

    @property
    def lasts(self) -> bool:
        """Whether a repetition by the client within the same delivery meets it again."""
        return self in (Fault.UNAVAILABLE, Fault.QUOTA)


@dataclass(frozen=True)
class Call:
    """One outgoing call of a function, by the circumstances in which it is made."""

    function: str
    what: str
    """A method of a Google service, ``publish TOPIC``, ``commit COLLECTION`` (the first of the commit) or ``webhook``."""
    nth: int
    """Among the calls of that kind within one delivery, from 1."""
    written: int
    """How much had been changed until then that decides anything; between two such changes all deliveries are alike."""

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.what.startswith(("Get", "List"))

    @property
    def decides(self) -> bool:
        """Whether it changes what later deliveries do: not so evidence (the next tick gathers it again), messages and notices."""
        return not self.is_read and not self.what.startswith(
            ("publish", "webhook", "commit evidence", "commit notices")
        )

    def __str__(self) -> str:
        return f"{self.function}: {self.what} #{self.nth} after {self.written} changes"


@dataclass(frozen=True)
class Made:
    """A call as it was seen: what it can meet depends on what it asked and on what was answered."""

    call: Call
    delivery: int
    has_etag: bool = False
    starts_operation: bool = False
    creates: bool = False

    def faults(self, is_last: bool) -> list[Fault]:
        """Every way in which this call can go wrong, each once.

        Dying after a read is dying before the next call, so it is tried where the read is the last call of its delivery.
        """
        what = self.call.what
        found = [Fault.KILL_BEFORE, Fault.UNAVAILABLE]
        if is_last or not self.call.is_read:
            found.append(Fault.KILL_AFTER)
        if not self.call.is_read:
            found.append(Fault.LOST)
        if what.startswith(("commit", "webhook")):
            return found
        found += [Fault.DEADLINE, Fault.QUOTA]
        if self.has_etag:
            found += [Fault.ABORTED, Fault.OTHER_WRITER, Fault.NO_ETAGS]
        if self.creates:
            found.append(Fault.EXISTS)
        if self.starts_operation:
            found.append(Fault.OPERATION)
        return found


@dataclass(frozen=True)
class Point:
    """One call, and what happens to it."""

    call: Call
    fault: Fault

    def __str__(self) -> str:
        return f"{self.call}: {self.fault}"


class FlowError(Exception):
    """A flow does not do what it is to do."""


class KilledError(BaseException):
    """The process ends here: no ``except Exception`` of the functions sees it."""


class InjectedError(grpc.RpcError):
    """What a call is answered with instead of its answer."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code, self._details = code, details

    def result(self, timeout: float | None = None) -> Any:
        """As a call that has ended: other interceptors hand an error on as if it were one."""
        raise self

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def initial_metadata(self) -> tuple[Any, ...]:
        return ()

    def trailing_metadata(self) -> tuple[Any, ...]:
        return ()


CODES = {
    Fault.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Fault.LOST: grpc.StatusCode.UNAVAILABLE,
    Fault.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Fault.QUOTA: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Fault.ABORTED: grpc.StatusCode.ABORTED,
    Fault.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
}
