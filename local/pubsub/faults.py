"""What a network does to messages, switched on for one subscription by a test or a demonstration.

Pub/Sub promises at least once, at any time, in any order; these make that happen now instead of once a month.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """The faults of one subscription, for messages published from now on."""

    duplicate: bool = False
    """Every message is put in twice; both copies have the same id and may be delivered at the same moment."""

    delay_seconds: float = 0.0
    """Every message is held this long before its first delivery (wall seconds: a network knows no compressed time)."""

    reorder_within_seconds: float = 0.0
    """Every message is held a random part of this besides (wall seconds), so neighbours overtake each other."""

    drop_acks: int = 0
    """So many of the next acknowledgements are lost on their way: the work was done, the message comes again."""

    seed: int = 0
    """Of the random part, so that a failing order can be had again."""
