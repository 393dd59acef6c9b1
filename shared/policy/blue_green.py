"""Blue-green: two endpoints of one target, of which clients ask the one that a small object in a bucket names."""

from __future__ import annotations

from datetime import timedelta

from shared.policy.base import Strict
from shared.policy.units import Duration

LONGEST_TTL = timedelta(minutes=5)
"""The endpoint that has lost the clients stays deployed for twice as long after a rollback."""
LONGEST_NAME = 57
"""The second endpoint's name is the first one's with ``-green`` behind it, 63 characters at most."""


class BlueGreen(Strict):
    """How clients learn which of the two endpoints is live."""

    ttl: Duration = timedelta(seconds=30)
    """How long a client may go on with what it has read; so long a switch takes, and so long both endpoints answer."""
