"""Plots of characters: they survive a pipe, a chat and a pull request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_HEIGHTS = "▁▂▃▄▅▆▇█"
_FULL, _PARTS = "█", " ▏▎▍▌▋▊▉"


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """One character per value, between ``low`` and ``high``; beyond them the lowest or the highest."""
    span = high - low
    return "".join(_HEIGHTS[round(min(max((value - low) / span, 0.0), 1.0) * (len(_HEIGHTS) - 1))] for value in values)


def thinned(values: Sequence[float], columns: int) -> list[float]:
    """At most so many values: of each run of neighbours the largest, so that no peak is lost."""
    if len(values) <= columns:
        return list(values)
    bounds = [round(i * len(values) / columns) for i in range(columns + 1)]
    return [max(values[a:b]) for a, b in pairwise(bounds)]


def bar(value: float, largest: float, columns: int) -> str:
    """A horizontal bar, to an eighth of a column."""
    if not (largest > 0 and math.isfinite(value)):
        return ""
    eighths = round(min(value / largest, 1.0) * columns * 8)
    full, rest = divmod(eighths, 8)
    return (_FULL * full + (_PARTS[rest] if rest else "")) or _PARTS[1]
