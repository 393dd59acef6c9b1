"""Where the thread of a rollout begins in a chat that names threads by their first message.

Two deliveries that tell of two entries at once must not begin two threads: who posts first takes the place before it posts, and the other one
comes again. A place that was taken by a delivery that died is free after a while; then there are two threads, and nothing is lost.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import ConflictError, NotYetError
from shared.store.documents import Documents, ExistsError

LEASE = timedelta(minutes=2)
"""Longer than a post takes."""
KEPT = timedelta(days=400)
"""Longer than any rollout."""


@dataclass(frozen=True)
class Thread:
    """The thread of one rollout in one channel."""

    id: str
    root: str
    """What the chat calls its first message; empty while that is ours to post."""
    revision: str


class Threads:
    """Over the document store."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def take(self, channel: str, rollout: str, now: datetime) -> Thread:
        """The thread as it stands, or, where there is none, the right to begin it; NotYetError while another delivery does."""
        place = hashlib.sha256(f"{channel} {rollout}".encode()).hexdigest()[:32]
        body = {"channel": channel, "rollout": rollout, "root": "", "until": (now + LEASE).isoformat()}
        try:
            return Thread(place, "", self._documents.create("threads", place, body, expires=now + KEPT))
        except ExistsError:
            found = self._documents.get("threads", place)
        if found is None:
            raise ConflictError(f"the thread of {rollout} in {channel} was given up meanwhile")
        if found.body["root"]:
            return Thread(place, str(found.body["root"]), found.revision)
        if now < datetime.fromisoformat(found.body["until"]):
            raise NotYetError(f"another delivery begins the thread of {rollout} in {channel}")
        return Thread(place, "", self._documents.replace("threads", place, body, found.revision))

    def begin(self, thread: Thread, root: str) -> None:
        """Remember the first message."""
        found = self._documents.get("threads", thread.id)
        if found is not None:
            self._documents.replace("threads", thread.id, {**found.body, "root": root}, thread.revision)

    def give_up(self, thread: Thread) -> None:
        """Nothing was posted, or what was posted is gone: the next message begins it anew."""
        self._documents.delete("threads", thread.id, thread.revision)
