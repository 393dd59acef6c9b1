"""Many things, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batches(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """In order, ``size`` at a time (``itertools.batched`` is Python 3.12's)."""
    for start in range(0, len(things), size):
        yield things[start : start + size]
