"""Who decides: the engine, and what it is compared with, each as its source code defines it.

Every judge sees one table per metric and minute and says whether it takes the candidate back. The competitors know thresholds that a person
set or nothing at all of multiplicity; none states an error rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Protocol

from shared.rollout.proof import KEPT
from shared.rollout.statistics.dispersion import guard, update_guarded
from shared.rollout.statistics.process import threshold
from shared.rollout.statistics.tables import Table, harm

Z98 = 2.3263478740408408
"""One-sided 1 %, and the tails of a two-sided interval of 98 %."""


class Judge(Protocol):
    """One rollout's judge."""

    def rolls_back(self, tables: Sequence[Table]) -> bool:
        """After one more minute, a table per metric."""


def engine_bounds(ticks: Iterable[Table], alphas: Sequence[float]) -> list[int | None]:
    """The engine on one metric: the tick from 1 at which its evidence of harm first reaches 1/alpha, for each alpha; None for never.

    ``shared.rollout.statistics``: the e-process of harm with its clip and its dispersion guard, null odds ratio 1. It reaches 1/alpha for a
    harmless candidate with probability at most alpha, however often one looks.
    """
    test = harm()
    state, found = guard(test, KEPT), dict[float, int]()
    for at, table in enumerate(ticks, 1):
        state = update_guarded(state, test, table)
        for alpha in alphas:
            if alpha not in found and state.e >= threshold(alpha):
                found[alpha] = at
        if len(found) == len(alphas):
            break
    return [found.get(alpha) for alpha in alphas]


class Flagger:
    """Flagger: every failed check adds one to ``status.failedChecks``, which is never lowered; rolled back at ``analysis.threshold``.

    fluxcd/flagger, pkg/controller/scheduler.go: ``advanceCanary`` calls ``SetStatusFailedChecks(cd, cd.Status.FailedChecks+1)`` when the
    analysis of a minute fails and rolls back at ``cd.Status.FailedChecks >= cd.GetAnalysisThreshold()``. So five failures anywhere in
    two hours are enough. Documentation's example: threshold 5, success rate at least 99 %, P99 at most 500 ms, interval 1m.
    """

    def __init__(self, limit: float = 0.01, failures: int = 5) -> None:
        self._limit, self._failures, self._failed = limit, failures, 0

    def rolls_back(self, tables: Sequence[Table]) -> bool:
        self._failed += any(_is_over(table, self._limit) for table in tables)
        return self._failed >= self._failures


class InARow:
    """Five failed minutes in a row: what Flagger is often taken to do."""

    def __init__(self, limit: float = 0.01, failures: int = 5) -> None:
        self._limit, self._failures, self._failed = limit, failures, 0

    def rolls_back(self, tables: Sequence[Table]) -> bool:
        self._failed = self._failed + 1 if any(_is_over(table, self._limit) for table in tables) else 0
        return self._failed >= self._failures


class Argo:
    """Argo Rollouts: a metric has failed when ``result.Failed > failureLimit``; measurements that failed are counted and never forgotten.

    argoproj/argo-rollouts, analysis/analysis.go, ``assessMetricFailureInconclusiveOrError``; failureLimit is 0 unless it is set. Here 3.
    """

    def __init__(self, limit: float = 0.01, failure_limit: int = 3, metrics: int = 1) -> None:
        self._limit, self._failure_limit, self._failed = limit, failure_limit, [0] * metrics

    def rolls_back(self, tables: Sequence[Table]) -> bool:
        self._failed = [
            failed + _is_over(table, self._limit) for failed, table in zip(self._failed, tables, strict=True)
        ]
        return max(self._failed) > self._failure_limit


class Alarm:
    """One minute beyond a threshold: a deployment guardrail's alarm, as SageMaker's ``AutoRollbackConfiguration`` with 1 of 1 datapoints."""

    def __init__(self, limit: float = 0.01) -> None:
        self._limit = limit

    def rolls_back(self, tables: Sequence[Table]) -> bool:
        return any(_is_over(table, self._limit) for table in tables)


class Kayenta:
    """Kayenta's NetflixACAJudge: Mann-Whitney on one value per minute; bad when the interval of the shift lies beyond its tolerance.

    spinnaker/kayenta, kayenta-judge, NetflixACAJudge.scala: ``MannWhitneyClassifier(tolerance = 0.25, confLevel = 0.98)``, and
    MannWhitneyClassifier.scala: High where ``lowerConfidence > 0.25 * |estimate|``, the estimate being Hodges and Lehmann's. The interval's
    lower end lies beyond d where the one-sided test at d rejects (ties and continuity corrected, z = 2.326). Judged every five minutes:
    on all minutes since the beginning, at least ten, or on the last thirty.
    """

    def __init__(self, window: int | None = None, metrics: int = 1) -> None:
        self._window, self._tick = window, 0
        self._values: list[tuple[list[float], list[float]]] = [([], []) for _ in range(metrics)]

    def rolls_back(self, tables: Sequence[Table]) -> bool:
        self._tick += 1
        for (stable, candidate), table in zip(self._values, tables, strict=True):
            if table.informs:
                stable.append(table.stable_bad / table.stable)
                candidate.append(table.candidate_bad / table.candidate)
        if self._tick < (self._window or 10) or self._tick % 5:
            return False
        last = -(self._window or 0)
        return any(is_high(candidate[last:], stable[last:]) for stable, candidate in self._values)


def is_high(candidate: Sequence[float], stable: Sequence[float], tolerance: float = 0.25) -> bool:
    """Kayenta's High of one metric."""
    if not candidate or _mann_whitney(candidate, stable, 0.0) <= Z98:
        return False  # not even beyond 0, so not beyond a tolerance either; and much faster
    estimate = median(b - a for a in stable for b in candidate)
    return _mann_whitney(candidate, stable, tolerance * abs(estimate)) > Z98


def _mann_whitney(candidate: Sequence[float], stable: Sequence[float], shift: float) -> float:
    """z of "the candidate is larger than the stable by more than ``shift``"; 0 where all values are equal."""
    # Rounded, so that what is equal but for its last digit is a tie.
    values = sorted([(round(b - shift, 12), 1) for b in candidate] + [(round(a, 12), 0) for a in stable])
    n_b, n_a = len(candidate), len(stable)
    rank_sum = ties = 0.0
    at = 0
    while at < len(values):
        end = at
        while end < len(values) and values[end][0] == values[at][0]:
            end += 1
        rank_sum += sum(arm for _, arm in values[at:end]) * (at + 1 + end) / 2
        ties += (end - at) ** 3 - (end - at)
        at = end
    everything = n_a + n_b
    variance = n_a * n_b / 12 * (everything + 1 - ties / (everything * (everything - 1)))
    if variance <= 0:
        return 0.0
    u = rank_sum - n_b * (n_b + 1) / 2
    return (u - n_a * n_b / 2 - 0.5) / math.sqrt(variance)


class EachTick:
    """A textbook test of the sums so far, at one percent, repeated after every minute: valid once, and looked at 120 times."""

    def __init__(self, rejects: Callable[[Table], bool], metrics: int = 1) -> None:
        self._rejects, self._sums = rejects, [Table(0, 0, 0, 0)] * metrics

    def rolls_back(self, tables: Sequence[Table]) -> bool:
        self._sums = [
            Table(*(a + b for a, b in zip(so_far, table, strict=True)))
            for so_far, table in zip(self._sums, tables, strict=True)
        ]
        return any(self._rejects(so_far) for so_far in self._sums)


def z_rejects(table: Table) -> bool:
    """The one-sided two-proportion z with pooled variance, beyond 2.326."""
    return _z(table) > Z98


def _z(table: Table) -> float:
    n_a, x_a, n_b, x_b = table
    pooled = table.bad / max(n_a + n_b, 1)
    if not table.informs or pooled in (0, 1):
        return 0.0
    return (x_b / n_b - x_a / n_a) / math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))


def fisher_rejects(table: Table, alpha: float = 0.01) -> bool:
    """Fisher's exact test, one-sided: P(X >= x_b given the totals) < alpha."""
    n_a, _, n_b, x_b = table
    m = table.bad
    if _z(table) < 1.5:
        return False  # far from one percent, and the sum would be long
    first = _log_choose(n_b, x_b) + _log_choose(n_a, m - x_b) - _log_choose(n_a + n_b, m)
    tail = term = math.exp(first)
    for x in range(x_b, min(n_b, m)):
        term *= (n_b - x) * (m - x) / ((x + 1) * (n_a - m + x + 1))
        tail += term
        if tail >= alpha or term < tail * 1e-9:
            break
    return tail < alpha


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _is_over(table: Table, limit: float) -> bool:
    """Whether the candidate's minute breaks the limit; one without requests says nothing."""
    return table.candidate > 0 and table.candidate_bad / table.candidate > limit


ENGINE: dict[str, float] = {"engine 1 %": 0.01, "engine 5 %": 0.05}
"""The engine, by its alpha."""
JUDGES: dict[str, Callable[[], Judge]] = {
    "z each tick": lambda: EachTick(z_rejects),
    "Fisher each tick": lambda: EachTick(fisher_rejects),
    "Kayenta growing": Kayenta,
    "Kayenta last 30": lambda: Kayenta(30),
    "Flagger 1 % x5": Flagger,
    "Flagger 3 % x5": lambda: Flagger(0.03),
    "1 % x5 in a row": InARow,
    "Argo 1 %, limit 3": Argo,
    "alarm 1 %": Alarm,
}
"""The competitors, by their names in the tables."""
