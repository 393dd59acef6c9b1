"""Sees every outgoing call of a delivery where it leaves the process, and lets chosen ones go wrong.

gRPC calls are met in an interceptor of the channel, commits in the document store, webhooks at ``requests.post``: no call is named here,
so one that is added to the product is seen without a word.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from unittest.mock import patch

import grpc
import requests

from bench.crashes.faults import CODES, Call, Fault, InjectedError, KilledError, Made, Point
from shared.errors import TransientError
from shared.store.documents import Write
from shared.store.sqlite import SQLiteDocuments

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Seen:
    """What was seen of a run so far."""

    made: tuple[Made, ...]
    happened: tuple[int, ...]
    written: int


class Watch:
    """Notes every call of the deliveries of this thread, and makes the planned points happen one after another."""

    def __init__(self) -> None:
        self.made: list[Made] = []
        self.happened: list[int] = []
        """How many calls had been made when each planned point happened."""
        self.plan: Sequence[Point] = ()
        self.at_call: Callable[[Call], Fault | None] = lambda call: None
        """What else happens to a call; it may do something of its own before, which is not watched."""
        self.meddle: Callable[[], object] = lambda: None
        """What another writer does."""
        self.fail_operation: Callable[[str], object] = lambda method: None
        """Lets the next operation that a method starts end with an error."""
        self._thread = threading.get_ident()
        self._function = ""
        self._delivery = 0
        self._counted: dict[str, int] = {}
        self._written = 0
        self._stuck: tuple[str, Fault] | None = None

    def reset(self, plan: Sequence[Point] = ()) -> None:
        """A new run."""
        self.made, self.happened, self.plan = [], [], plan
        self._function, self._written, self._stuck = "", 0, None
        self.at_call = lambda call: None

    def seen(self) -> Seen:
        """All of it, between two deliveries."""
        return Seen(tuple(self.made), tuple(self.happened), self._written)

    def go_on(self, seen: Seen, plan: Sequence[Point]) -> None:
        """A run that has begun as another did."""
        self.reset(plan)
        self.made, self.happened, self._written = list(seen.made), list(seen.happened), seen.written

    @contextmanager
    def delivery(self, function: str) -> Iterator[None]:
        """What is called inside belongs to one delivery; one that comes in the middle of another leaves the other as it was."""
        before = self._function, self._counted, self._stuck
        self._function, self._counted, self._stuck = function, {}, None
        self._delivery += 1
        try:
            yield
        finally:
            self._function, self._counted, self._stuck = before

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """What is called inside is no call of the delivery that is under way."""
        function, self._function = self._function, ""
        try:
            yield
        finally:
            self._function = function

    def around(
        self,
        what: str,
        do: Callable[[], Answer],
        error: Callable[[Fault], Exception],
        facts: Callable[[Answer | None], dict[str, bool]] = lambda answer: {},
    ) -> Answer:
        """Carry out one call, or let it go wrong; ``facts`` says what is special about it, before and after the answer."""
        if not self._function or threading.get_ident() != self._thread:
            return do()
        if self._stuck and self._stuck[0] == what:
            raise error(self._stuck[1])
        self._counted[what] = self._counted.get(what, 0) + 1
        call = Call(self._function, what, self._counted[what], self._written)
        at, delivery = len(self.made), self._delivery
        self.made.append(Made(call, delivery, **facts(None)))
        fault = self._fault_of(call)
        self._before(call, fault, error)
        answer = do()
        self.made[at] = Made(call, delivery, **(facts(None) | facts(answer)))
        self._written += call.decides
        if fault is Fault.KILL_AFTER:
            raise KilledError
        if fault in (Fault.LOST, Fault.EXISTS, Fault.DEADLINE):
            raise error(fault)
        return answer

    def _fault_of(self, call: Call) -> Fault | None:
        done = len(self.happened)
        if done < len(self.plan) and self.plan[done].call == call:
            self.happened.append(len(self.made))
            return self.plan[done].fault
        with self.unwatched():
            return self.at_call(call)

    def _before(self, call: Call, fault: Fault | None, error: Callable[[Fault], Exception]) -> None:
        what = call.what
        if fault is Fault.KILL_BEFORE:
            raise KilledError
        if fault is Fault.DEADLINE and call.is_read:
            raise error(fault)
        if fault is Fault.ABORTED:
            raise error(fault)
        if fault and fault.lasts:
            self._stuck = (what, fault)
            raise error(fault)
        if fault is Fault.OPERATION:
            self.fail_operation(what)
        if fault in (Fault.OTHER_WRITER, Fault.NO_ETAGS):
            with self.unwatched():
                self.meddle()


class _Interceptor(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Where calls of Google's clients leave the process."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method if isinstance(details.method, str) else details.method.decode()
        name = method.rpartition("/")[2]
        what = f"publish {request.topic.rpartition('/')[2]}" if name == "Publish" else name

        def carry_out() -> Any:
            answer = continuation(details, request)
            answer.result()
            return answer

        def facts(answer: Any) -> dict[str, bool]:
            if answer is None:
                has_etag = bool(getattr(getattr(request, "endpoint", None), "etag", ""))
                return {"has_etag": has_etag}
            starts = type(answer.result()).__name__ == "Operation" and not name.startswith("Get")
            return {"starts_operation": starts, "creates": starts and not name.startswith(("Mutate", "Undeploy"))}

        return self._watch.around(what, carry_out, lambda f: InjectedError(CODES[f], f"injected: {f}"), facts)


@contextmanager
def watched_channels(watch: Watch, near: Mapping[str, grpc.Channel]) -> Iterator[None]:
    """Channels and posts that are made inside are seen by the watch; ``near`` has channels by the address that they stand for."""
    plain, post = grpc.insecure_channel, requests.post

    def seen(target: str, *args: Any, **kwargs: Any) -> Any:
        return grpc.intercept_channel(near.get(target) or plain(target, *args, **kwargs), _Interceptor(watch))

    def posted(*args: Any, **kwargs: Any) -> Any:
        return watch.around(
            "webhook", lambda: post(*args, **kwargs), lambda f: requests.ConnectionError(f"injected: {f}")
        )

    with patch.object(grpc, "insecure_channel", seen), patch.object(requests, "post", posted):
        yield


class WatchedDocuments(SQLiteDocuments):
    """The embedded store; every commit is seen."""

    watch: Watch

    def commit(self, writes: Sequence[Write]) -> list[str]:
        into = writes[0].collection if writes else "nothing"
        return self.watch.around(
            f"commit {into}", lambda: SQLiteDocuments.commit(self, writes), lambda f: TransientError(f"injected: {f}")
        )
