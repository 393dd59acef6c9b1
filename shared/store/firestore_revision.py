"""The revision of a Firestore document: the time of its last update, to the nanosecond, and its expiry.

The expiry is part of it because a replacement writes the whole document, and must keep an expiry that its author never
saw. It can: the guard lets it through only if the document is still the one that was read, with the expiry it had.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.store.documents import RevisionError

_FORM = re.compile(r"(\d+)\.(\d{9})(?:/(.+))?")


@dataclass(frozen=True)
class Revision:
    """Epoch seconds and nanoseconds: a float or a datetime would lose the last digits, and with them every guard."""

    seconds: int
    nanos: int
    expires: datetime | None = None

    @classmethod
    def of(cls, update_time: Any, expires: datetime | None) -> Revision:
        """From the ``DatetimeWithNanoseconds`` of a snapshot or of a write's result."""
        stamp = update_time.timestamp_pb()
        return cls(stamp.seconds, stamp.nanos, expires)

    @classmethod
    def parse(cls, text: str, where: str) -> Revision:
        """From the text that ``str`` made; any other text is the revision of no document here."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise RevisionError(f"{where}: {text!r} is not a revision of this store; read the document again")
        seconds, nanos, expires = found.groups()
        return cls(int(seconds), int(nanos), None if expires is None else datetime.fromisoformat(expires))

    def __str__(self) -> str:
        expires = "" if self.expires is None else f"/{self.expires.isoformat()}"
        return f"{self.seconds}.{self.nanos:09d}{expires}"

    def update_time(self) -> Any:
        """As the protobuf timestamp that a precondition takes."""
        from google.protobuf.timestamp_pb2 import Timestamp

        return Timestamp(seconds=self.seconds, nanos=self.nanos)


def plain(moment: datetime) -> datetime:
    """A time in UTC without the client's own subclass."""
    return datetime.fromtimestamp(0, UTC) + (moment - datetime.fromtimestamp(0, UTC))
