"""The messages of one subscription: waiting, handed out, waiting again.

Not safe for threads by itself; the broker's lock guards it. Times are ``time.monotonic()`` seconds, except for retention,
which is of our (perhaps compressed) time.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from local.pubsub.message import Message
from local.pubsub.rules import Rules
from shared.clock import wall_seconds


@dataclass
class Counts:
    """What became of a subscription's messages, in total since it was created."""

    published: int = 0
    """Messages that matched the filter."""
    filtered: int = 0
    """Messages that did not, and were acknowledged for the subscriber."""
    delivered: int = 0
    """Deliveries, repeated ones included."""
    acknowledged: int = 0
    nacked: int = 0
    """Deliveries that were refused: a push answered with an error, or not at all, and a pull's deadline set to zero."""
    deadline_exceeded: int = 0
    """Pulled messages that were not acknowledged in time."""
    dead_lettered: int = 0
    expired: int = 0
    """Messages that outlived the retention."""
    acks_dropped: int = 0
    """Acknowledgements that an injected fault has lost."""


@dataclass
class Pending:
    """A message on its way through one subscription."""

    message: Message
    attempts: int = 0
    """Deliveries so far, the present one included."""


@dataclass
class Lease:
    """A message that is handed out until it is acknowledged, refused or too late."""

    ack_id: str
    pending: Pending
    deadline: float


class Backlog:
    """A heap of waiting messages by the moment they may be delivered, and the leases on those handed out."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._waiting: list[tuple[float, int, Pending]] = []
        self._leased: dict[str, Lease] = {}
        self._sequence = itertools.count()

    @property
    def waiting(self) -> int:
        """Messages that wait for a delivery."""
        return len(self._waiting)

    @property
    def outstanding(self) -> int:
        """Messages that are handed out."""
        return len(self._leased)

    def add(self, message: Message, ready_at: float) -> None:
        """Let a message wait for its first delivery."""
        self._wait(Pending(message), ready_at)

    def take(self, limit: int, now: float, deadline: float, forget_before: datetime) -> list[Lease]:
        """Hand out up to ``limit`` messages that are due, and drop those published before ``forget_before``."""
        leases: list[Lease] = []
        while self._waiting and self._waiting[0][0] <= now and len(leases) < limit:
            _, sequence, pending = heapq.heappop(self._waiting)
            if pending.message.publish_time < forget_before:
                self.counts.expired += 1
                continue
            pending.attempts += 1
            lease = Lease(f"{pending.message.message_id}-{sequence}-{pending.attempts}", pending, deadline)
            self._leased[lease.ack_id] = lease
            leases.append(lease)
        self.counts.delivered += len(leases)
        return leases

    def acknowledge(self, ack_id: str) -> bool:
        """End a lease well; an unknown id is no error, as in the service."""
        if self._leased.pop(ack_id, None) is None:
            return False
        self.counts.acknowledged += 1
        return True

    def refuse(self, ack_id: str) -> Pending | None:
        """End a lease badly; what is returned has to be retried or dead-lettered."""
        lease = self._leased.pop(ack_id, None)
        if lease is None:
            return None
        self.counts.nacked += 1
        return lease.pending

    def extend(self, ack_id: str, deadline: float) -> None:
        """Move a lease's deadline; an unknown id is no error."""
        if ack_id in self._leased:
            self._leased[ack_id].deadline = deadline

    def overdue(self, now: float) -> Iterator[Pending]:
        """End the leases whose deadline has passed; each has to be retried or dead-lettered."""
        for lease in [lease for lease in self._leased.values() if lease.deadline <= now]:
            del self._leased[lease.ack_id]
            self.counts.deadline_exceeded += 1
            yield lease.pending

    def retry(self, pending: Pending, rules: Rules, now: float) -> None:
        """Let a message wait out its back-off, which lasts in our time."""
        self._wait(pending, now + wall_seconds(rules.backoff.after(pending.attempts)))

    def holds(self, ack_id: str) -> bool:
        """Whether this lease still stands."""
        return ack_id in self._leased

    def next_at(self, *, room: bool = True) -> float | None:
        """When something becomes due: a message if there is ``room`` for another lease, or a lease's end."""
        moments = [lease.deadline for lease in self._leased.values()]
        if room and self._waiting:
            moments.append(self._waiting[0][0])
        return min(moments, default=None)

    def _wait(self, pending: Pending, ready_at: float) -> None:
        heapq.heappush(self._waiting, (ready_at, next(self._sequence), pending))
