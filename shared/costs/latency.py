"""What more or less use of each replica does to the latency, as far as a measured step can say.

The wait in a queue grows with 1 / (1 - use), and a step's 95th percentile is taken to grow with it as a whole. That is more than it would in
truth, since the time of computing does not grow: what is suggested on this ground is on the safe side.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.costs.load import Moment


def slowed(p95_ms: float, use: float, then: float) -> float:
    """The 95th percentile at another use; without end at a use of 1."""
    if then >= 1:
        return float("inf")
    return p95_ms * (1 - min(use, 0.99)) / (1 - then)


def forbids(target_ms: float | None, changes: Iterable[tuple[Moment, float]]) -> bool:
    """Whether a latency target forbids that each step's use becomes another; a target without measured latencies does."""
    if target_ms is None:
        return False
    measured = False
    for moment, then in changes:
        if moment.p95_ms is None:
            continue
        measured = True
        if slowed(moment.p95_ms, moment.use, max(then, moment.use)) > target_ms:
            return True
    return not measured
