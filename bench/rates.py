"""How often something happened that may happen so often: the count, its exact interval, and what is promised."""

from __future__ import annotations

from dataclasses import dataclass

from shared.rollout.tails import binomial_tail


@dataclass(frozen=True)
class Rate:
    """How often something happened that may happen so often."""

    what: str
    count: int
    of: int
    promised: float

    @property
    def interval(self) -> tuple[float, float]:
        """Exact, 95 % (Clopper and Pearson 1934)."""
        return _bound(self.count, self.of, 0.025), 1 - _bound(self.of - self.count, self.of, 0.025)

    @property
    def sentence(self) -> str:
        low, high = self.interval
        share = f"{self.count / self.of:.1%}" if self.of else "-"
        return f"{self.count} of {self.of} = {share} (95 % interval {low:.1%} to {high:.1%}); promised: at most {self.promised:.0%}"


def _bound(count: int, of: int, tail: float) -> float:
    """The share at which so many or more would come with the probability ``tail``; 0 where there are none."""
    if not count:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(count, of, middle) < tail else (low, middle)
    return low
