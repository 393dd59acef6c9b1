"""When something that was refused, or failed, for want of quota or capacity is asked for again."""

from __future__ import annotations

import hashlib
from datetime import timedelta

LONGEST = timedelta(hours=1)
"""However often it was tried."""


def back_off(rollout: str, tries: int, first: timedelta) -> timedelta:
    """``first`` after the first try, twice as long after each further one; of that between half and all.

    How much is drawn from the rollout and the try: those that were refused in the same minute do not come again in the same minute, and the
    same question has the same answer wherever it is asked.
    """
    full = min(first * float(2 ** min(tries - 1, 16)), LONGEST)
    drawn = int.from_bytes(hashlib.sha256(f"{rollout}/{tries}".encode()).digest()[:4]) / 2**32
    return full * (0.5 + drawn / 2)
