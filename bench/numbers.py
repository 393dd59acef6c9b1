"""Percentiles and tables."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of all values do not exceed (nearest rank)."""
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text: frozenset[int] = frozenset({0})) -> str:
    """Columns of numbers, to the right; those that are ``text`` to the left."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = enumerate(zip(row, widths, strict=True))
        lines.append("  ".join(cell.ljust(width) if at in text else cell.rjust(width) for at, (cell, width) in cells))
    return "\n".join(line.rstrip() for line in lines)


def loop_seconds() -> float:
    """How long a fixed loop takes at this moment: what a machine is worth that others use too."""
    began, total = time.perf_counter(), 0
    for number in range(3_000_000):
        total += number * number
    return time.perf_counter() - began
