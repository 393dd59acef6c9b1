"""What goes wrong, on purpose: wrappers around the real parts that fail a chosen call before or after it was carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import grpc

from shared.errors import TransientError
from shared.publisher import Publisher
from shared.store.documents import Create, Delete, Document, Documents, Replace, Stored, Where, Write
from vertex_emulator.errors import ApiError
from vertex_emulator.faults import Faults

When = Literal["before", "after"]
"""``before``: refused, nothing was done. ``after``: done, and the answer is lost."""

_REFUSED = ApiError(grpc.StatusCode.UNAVAILABLE, "Injected fault.")
_LOST = ApiError(grpc.StatusCode.UNAVAILABLE, "Injected fault: applied, but the answer is lost.")


@dataclass(frozen=True)
class Call:
    """One outgoing call of a function, by the circumstances in which it is made."""

    function: str
    what: str
    """A method of Vertex AI, ``commit`` or a topic."""
    nth: int
    """Among the calls of that kind within one delivery, from 1."""
    written: int
    """How much had been changed until then; between two changes all deliveries are alike."""

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing: its lost answer is the same as its refusal."""
        return self.what.startswith(("Get", "List"))

    def __str__(self) -> str:
        return f"{self.function}: {self.what} #{self.nth} after {self.written} writes"


class Disturbance:
    """Notes every outgoing call, and lets one fail. One object for all wrappers, so that calls are counted together."""

    def __init__(self, target: Call | None = None, when: When = "before") -> None:
        self.calls: list[Call] = []
        self.happened = False
        self._target, self._when = target, when
        self._function = ""
        self._counted: dict[str, int] = {}
        self._written = 0
        self._stuck = ""

    def begin(self, function: str) -> None:
        """A delivery begins."""
        self._function, self._counted, self._stuck = function, {}, ""

    def arrives(self, what: str) -> bool:
        """Whether this call is to be refused. A refused call stays refused until the delivery ends: the client repeats it."""
        if not self._function:
            return False
        if what == self._stuck:
            return True
        self._counted[what] = self._counted.get(what, 0) + 1
        self.calls.append(Call(self._function, what, self._counted[what], self._written))
        if self._is_target() and self._when == "before":
            self._stuck, self.happened = what, True
            return True
        return False

    def is_lost(self, what: str) -> bool:
        """Whether the answer of the call that was just carried out is to be lost."""
        if not self._function:
            return False
        is_lost = self._when == "after" and self.calls[-1].what == what and self._is_target()
        self.happened = self.happened or is_lost
        if not self.calls[-1].is_read:
            self._written += 1
        return is_lost

    def _is_target(self) -> bool:
        return not self.happened and self.calls[-1] == self._target


class Hook(Protocol):
    """Looks at every call of Vertex AI."""

    def refusal(self, method: str) -> ApiError | None:
        """What an arriving call is refused with; nothing was done yet."""

    def lost(self, method: str) -> ApiError | None:
        """What a call that was carried out is answered with instead of its answer."""


class HookedFaults(Faults):
    """Faults that a hook decides: the emulator asks for them although none is planned."""

    @property
    def are_planned(self) -> bool:
        return True


def hook_into(faults: Faults, hook: Hook) -> None:
    """Let a hook see every call; the faults that are planned otherwise still happen."""
    faults.__class__ = HookedFaults

    def asking(name: str) -> Callable[..., ApiError | None]:
        asked, planned = getattr(hook, name), getattr(Faults, name)
        return lambda method, resource="": asked(method) or planned(faults, method, resource)

    for name in ("refusal", "lost"):
        setattr(faults, name, asking(name))


class DisturbedVertex:
    """Calls of Vertex AI that follow a disturbance."""

    def __init__(self, disturbance: Disturbance) -> None:
        self._disturbance = disturbance

    def refusal(self, method: str) -> ApiError | None:
        return _REFUSED if self._disturbance.arrives(method) else None

    def lost(self, method: str) -> ApiError | None:
        return _LOST if self._disturbance.is_lost(method) else None


class Interleaved:
    """Lets something else happen in the middle of the next call of a method, as another process would."""

    def __init__(self, method: str, when: When, action: Callable[[], object]) -> None:
        self._method, self._when, self._action = method, when, action
        self.happened = False

    def refusal(self, method: str) -> ApiError | None:
        self._interrupt(method, "before")
        return None

    def lost(self, method: str) -> ApiError | None:
        self._interrupt(method, "after")
        return None

    def _interrupt(self, method: str, when: When) -> None:
        if method == self._method and when == self._when and not self.happened:
            self.happened = True
            self._action()


class DisturbedDocuments:
    """A document store whose commits follow a disturbance; reads pass."""

    def __init__(self, documents: Documents, disturbance: Disturbance) -> None:
        self._documents, self._disturbance = documents, disturbance

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """Refused before, or done and its answer lost."""
        if self._disturbance.arrives("commit"):
            raise TransientError("injected fault: the store refused a commit")
        revisions = self._documents.commit(writes)
        if self._disturbance.is_lost("commit"):
            raise TransientError("injected fault: the store committed, and its answer is lost")
        return revisions

    def create(self, collection: str, id: str, body: Document, expires: datetime | None = None) -> str:  # noqa: A002
        return self.commit([Create(collection, id, body, expires)])[0]

    def replace(self, collection: str, id: str, body: Document, revision: str) -> str:  # noqa: A002
        return self.commit([Replace(collection, id, body, revision)])[0]

    def delete(self, collection: str, id: str, revision: str | None = None) -> None:  # noqa: A002
        self.commit([Delete(collection, id, revision)])

    def get(self, collection: str, id: str) -> Stored | None:  # noqa: A002
        return self._documents.get(collection, id)

    def get_all(self, collection: str, ids: Sequence[str]) -> list[Stored]:
        return self._documents.get_all(collection, ids)

    def query(
        self,
        collection: str,
        where: Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        after: Any = None,
    ) -> list[Stored]:
        return self._documents.query(collection, where, order_by, descending, limit, after)

    def close(self) -> None:
        self._documents.close()


class DisturbedPublisher(Publisher):
    """A publisher whose messages follow a disturbance."""

    def __init__(self, project: str, disturbance: Disturbance) -> None:
        super().__init__(project)
        self._disturbance = disturbance

    def publish_all(self, topic: str, messages: Sequence[bytes], /, **attributes: str) -> None:
        """Refused before, or published and the answer lost; publishing nothing is no call."""
        if not messages:
            return
        if self._disturbance.arrives(topic):
            raise TransientError(f"injected fault: Pub/Sub did not take a message for {topic}")
        super().publish_all(topic, messages, **attributes)
        if self._disturbance.is_lost(topic):
            raise TransientError(f"injected fault: Pub/Sub took a message for {topic}, and its answer is lost")
