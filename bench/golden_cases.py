"""Golden cases of evidence, held against the product's engine: what each kind gives, asks for, and how far the answer was off.

A case is ``{"id", "kind", "input", "expected"}`` as the ``description`` in its file says; its values were computed with exact fractions.
Anything that goes wrong in a case, a kind that nobody knows included, is that case's disagreement and stops no other one.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from bench.golden_properties import broken_properties
from shared.rollout.observed import Histogram
from shared.rollout.statistics import arms, binomial, combine, dispersion, latency, means, tables
from shared.rollout.statistics.interval import GRID, Interval
from shared.rollout.statistics.process import CLIP, Process, Starts, e_value, threshold, update
from shared.rollout.statistics.tables import OddsRatioTest, Table

Data = Mapping[str, Any]
STARTS: Mapping[str, Starts] = {"harmonic": "all", "all": "all", "first": "first"}
LOGLR_ABSOLUTE, E_RELATIVE, UNIT_MEAN_ABSOLUTE = 1e-9, 1e-8, 1e-9
"""What a file may be off that states no tolerances."""


@dataclass(frozen=True)
class Tolerance:
    """How far off an answer may be."""

    loglr_abs: float = LOGLR_ABSOLUTE
    e_rel: float = E_RELATIVE

    @classmethod
    def of(cls, golden: Data) -> Tolerance:
        """What the file says."""
        given = golden.get("tolerance") or {}
        return cls(float(given.get("loglr_abs", LOGLR_ABSOLUTE)), float(given.get("e_rel", E_RELATIVE)))


@dataclass(frozen=True)
class Difference:
    """One answer that is not what was expected."""

    what: str
    expected: Any
    got: Any


@dataclass(frozen=True)
class Outcome:
    """One case."""

    id: str
    kind: str
    differences: tuple[Difference, ...] = ()
    compared: int = 0
    """How many answers; a case in which nothing could be compared does not agree."""
    deviation: float = 0.0
    """The largest relative one of its numbers (absolute where less than 1 is expected of a log-likelihood ratio)."""

    @property
    def agrees(self) -> bool:
        return self.compared > 0 and not self.differences


@dataclass
class _Answers:
    """What the engine answered to one case, beside what was expected."""

    expected: Data
    tolerance: Tolerance
    differences: list[Difference] = field(default_factory=list)
    compared: int = 0
    deviation: float = 0.0

    def exactly(self, what: str, got: Any) -> None:
        if what in self.expected:
            self._compared(what, self.expected[what], got, self.expected[what] == got)

    def within(self, what: str, got: float, absolute: float) -> None:
        """A number that may be off by so much; ratios near 0 are what they are to the same digits as those near 1."""
        if what in self.expected:
            self._number(what, float(self.expected[what]), got, absolute, max(abs(float(self.expected[what])), 1.0))

    def relatively(self, what: str, got: float) -> None:
        if what in self.expected:
            self._relative(what, self.expected[what], got)

    def each(self, what: str, got: Sequence[float]) -> None:
        if what not in self.expected:
            return
        wanted = self.expected[what]
        self.exactly_as(f"the length of {what}", len(wanted), len(got))
        for number, (one, other) in enumerate(zip(wanted, got, strict=False), 1):
            self._relative(f"{what}[{number}]", one, other)

    def exactly_as(self, what: str, expected: Any, got: Any) -> None:
        self._compared(what, expected, got, expected == got)

    def evidence(self, e_values: Sequence[float]) -> None:
        """E after each tick, and where it first reached some bound."""
        self.each("e", e_values)
        for key in self.expected:
            if key.startswith("first_tick_ge_"):
                self.exactly(key, _first_at(e_values, float(key.removeprefix("first_tick_ge_"))))

    def _relative(self, what: str, expected: float | None, got: float) -> None:
        wanted = math.inf if expected is None else float(expected)
        self._number(what, wanted, got, self.tolerance.e_rel * abs(wanted), abs(wanted) or 1.0)

    def _number(self, what: str, wanted: float, got: float, allowed: float, scale: float) -> None:
        off = 0.0 if wanted == got else abs(got - wanted)
        self.deviation = max(self.deviation, off / scale if math.isfinite(scale) and not math.isnan(off) else math.inf)
        self._compared(what, wanted, got, off == 0 or (math.isfinite(off) and off <= allowed))

    def _compared(self, what: str, expected: Any, got: Any, agrees: bool) -> None:
        self.compared += 1
        if not agrees:
            self.differences.append(Difference(what, expected, got))


def run_cases(golden: Data) -> Iterator[Outcome]:
    """Every case of a file, in its order."""
    tolerance = Tolerance.of(golden)
    for number, case in enumerate(golden["cases"], 1):
        yield run_case(case, tolerance, number)


def run_case(case: Data, tolerance: Tolerance, number: int = 0) -> Outcome:
    """One case through the engine."""
    name, kind = str(case.get("id", f"case {number}")), str(case.get("kind", ""))
    answers = _Answers(case.get("expected") or {}, tolerance)
    try:
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
        KINDS[kind](case.get("input") or {}, answers)
        if not answers.compared:
            raise ValueError(f"nothing that was expected is an answer of this kind: {', '.join(answers.expected)}")
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        answers.differences.append(Difference("an answer", dict(answers.expected), f"{type(error).__name__}: {error}"))
    return Outcome(name, kind, tuple(answers.differences), answers.compared, answers.deviation)


def _first_at(e_values: Sequence[float], bound: float) -> int | None:
    return next((tick for tick, e in enumerate(e_values, 1) if e >= bound), None)


def _follow(process: Process, ratios: Iterable[tuple[float, ...] | None]) -> list[float]:
    """E after each tick."""
    return [e_value(state) for state in accumulate(ratios, update, initial=process)][1:]


def _clip(given: Data, otherwise: float | None) -> float | None:
    """null is no clip; a case that does not mention it has the engine's."""
    clip: float | None = given.get("clip", otherwise)
    return clip


def _odds_ratio_test(given: Data, null: str, test: OddsRatioTest) -> OddsRatioTest:
    """The engine's test with what the case says of it."""
    at = float(given.get(null, test.null))
    ratios = given.get("ratios") or [psi / test.null for psi in test.alternatives]
    return OddsRatioTest(
        at, tuple(at * ratio for ratio in ratios), STARTS[given.get("starts", test.starts)], _clip(given, test.clip)
    )


def _one_table(given: Data, answers: _Answers) -> None:
    table = Table(given["n_a"], given["x_a"], given["n_b"], given["x_b"])
    answers.within("loglr", tables.log_ratio(table, given["psi"], given["psi0"]), answers.tolerance.loglr_abs)


def _unit_mean(given: Data, answers: _Answers) -> None:
    n_a, n_b, m = given["n_a"], given["n_b"], given["m"]
    null, possible = Fraction(given["psi0"]), range(max(0, m - n_a), min(n_b, m) + 1)
    ways = [math.comb(n_b, x) * math.comb(n_a, m - x) * null**x for x in possible]
    total = sum(ways)
    ratios = (tables.log_ratio(Table(n_a, m - x, n_b, x), given["psi"], given["psi0"]) for x in possible)
    logs = (_log(way / total) + ratio for way, ratio in zip(ways, ratios, strict=True))
    answers.within("sum", math.fsum(map(math.exp, logs)), UNIT_MEAN_ABSOLUTE)


def _log(share: Fraction) -> float:
    """Also of what is too small for a float."""
    return math.log(share.numerator) - math.log(share.denominator)


def _one_sample(given: Data, answers: _Answers) -> None:
    ratio = binomial.log_ratio(given["n"], given["x"], given["p"], given["p0"]) if given["n"] else 0.0
    answers.within("loglr", ratio, answers.tolerance.loglr_abs)


def _harm_process(given: Data, answers: _Answers) -> None:
    _follow_tables(given, _odds_ratio_test(given, "psi0", tables.harm()), answers)


def _no_harm_process(given: Data, answers: _Answers) -> None:
    _follow_tables(given, _odds_ratio_test(given, "psi1", tables.no_harm(given["psi1"])), answers)


def _follow_tables(given: Data, test: OddsRatioTest, answers: _Answers) -> None:
    answers.evidence(_follow(test.begin(), (test.log_ratios(Table(*tick)) for tick in given["ticks"])))


def _below_process(given: Data, answers: _Answers) -> None:
    _follow_shares(given, binomial.below(given["p_max"], tuple(given.get("ratios", binomial.BELOW_RATIOS))), answers)


def _above_process(given: Data, answers: _Answers) -> None:
    ratios = given.get("odds_ratios", given.get("ratios", tables.HARM_RATIOS))
    _follow_shares(given, binomial.above(given["p_max"], tuple(ratios)), answers)


def _follow_shares(given: Data, default: binomial.ShareTest, answers: _Answers) -> None:
    test = replace(default, starts=STARTS[given.get("starts", default.starts)], clip=_clip(given, default.clip))
    answers.evidence(_follow(test.begin(), (test.log_ratios(*tick) for tick in given["ticks"])))


def _histograms(given: Data) -> list[tuple[Histogram, Histogram]]:
    edges = tuple(map(float, given["edges"]))
    return [(Histogram(edges, tuple(a)), Histogram(edges, tuple(b))) for a, b in given["ticks"]]


def _latency_average(given: Data, answers: _Answers) -> None:
    ticks, test = _histograms(given), _odds_ratio_test(given, "psi0", tables.harm())
    edges = [float(given["edges"][i]) for i in given["thresholds_edge_index"]]
    state, seen = latency.begin_exceedance(edges, test, kept=0), []
    for stable, candidate in ticks:
        state = latency.update_exceedance(state, test, stable, candidate)
        seen.append(latency.e_average(state))
    answers.evidence(seen)
    answers.each("e_per_threshold_last", [process.e for process in state.processes])
    for key, arm in (("exceed_a", 0), ("exceed_b", 1)):
        answers.exactly(key, [latency.surely_beyond(ticks[0][arm], edge) for edge in edges] if ticks else [])


def _latency_shift(given: Data, answers: _Answers) -> None:
    test = _odds_ratio_test(given, "psi0", tables.harm())
    at = [float(given["edges"][given[f"{arm}_edge_index"]]) for arm in ("stable", "candidate")]
    shifted = (latency.shifted_table(a, b, *at) for a, b in _histograms(given))
    answers.evidence(_follow(test.begin(), (test.log_ratios(table) if table else None for table in shifted)))


def _combine(given: Data, answers: _Answers) -> None:
    e_values = {str(i): e for i, e in enumerate(given["e_rollback"])}
    weights = given.get("weights")
    found = combine.combine_harm(e_values, {str(i): w for i, w in enumerate(weights)} if weights else None)
    answers.relatively("e", found.e)
    answers.exactly("rollback", found.e >= threshold(given.get("alpha", 0.01)))
    answers.exactly("culprit", int(found.metric))


def _decide(given: Data, answers: _Answers) -> None:
    found = combine.decide(
        given["e_rb"],
        given["e_adv"],
        alpha=given.get("alpha", 0.01),
        alpha_advance=given.get("alpha_adv", 0.05),
        ticks_in_stage=given["ticks_in_stage"],
        least_ticks=given.get("min_ticks", 5),
        suspicion=given.get("suspicion", combine.SUSPICION),
    )
    expected = str(answers.expected["decision"])
    answers.exactly("decision", found if "_" in expected else found.replace("_", ""))


def _dispersion(given: Data, answers: _Answers) -> None:
    fixed = {"c0": dispersion.PRIOR, "dead": dispersion.DEAD_BAND, "cap": dispersion.CAP}
    if other := {key: given[key] for key in fixed if given.get(key, fixed[key]) != fixed[key]}:
        raise ValueError(f"the engine's dispersion guard is fixed at {fixed}; the case asks for {other}")
    history = [table for table in (Table(*tick) for tick in given["history"]) if table.informs]
    answers.relatively("psi", dispersion.odds_ratio(history))
    answers.relatively("phi", dispersion.dispersion(history))
    answers.relatively("eta", dispersion.power(history))


def _interval(given: Data, answers: _Answers) -> None:
    state = Interval()
    for tick in given["history"]:
        state = state.updated(Table(*tick))
    found = state.bounds(given.get("alpha", 0.05))
    low, high = found.low, found.high
    # Where the grid ends before the interval does, the engine says 0 and infinity; a file may say the grid's end.
    if low == 0 and answers.expected.get("lo"):
        low = math.exp(GRID[0])
    if high == math.inf and answers.expected.get("hi") not in (None, math.inf):
        high = math.exp(GRID[-1])
    answers.relatively("lo", 0.0 if "lo" in answers.expected and answers.expected["lo"] is None else low)
    answers.relatively("hi", high)
    answers.relatively("mle", found.likeliest)


def _best_arm(given: Data, answers: _Answers) -> None:
    matrix, alpha = given["pair_e"], given.get("alpha", 0.05)
    pairs = {str(i): {str(j): e for j, e in enumerate(row) if j != i} for i, row in enumerate(matrix)}
    won = arms.winner(pairs, alpha)
    answers.relatively("threshold", arms.winning_bound(given.get("k", len(matrix)), alpha))
    answers.exactly("winner", None if won is None else int(won))
    answers.exactly("dropped", sorted(map(int, arms.dropped(pairs, alpha))))


def _mean_process(given: Data, answers: _Answers) -> None:
    test = means.MeanTest(
        given["sigma"],
        given.get("direction", 1),
        given.get("margin", 0.0),
        tuple(given.get("effects", means.EFFECTS)),
        STARTS[given.get("starts", "all")],
        _clip(given, CLIP),
    )
    ticks = ((means.Moments(*tick[:3]), means.Moments(*tick[3:])) for tick in given["ticks"])
    answers.evidence(_follow(test.begin(), (test.log_ratios(a, b) for a, b in ticks)))


def _simulation(given: Data, answers: _Answers) -> None:
    test, bound = _odds_ratio_test(given, "psi0", tables.harm()), threshold(given.get("alpha", 0.01))
    first, last = given["seeds"]
    served = _Served(given["n_a"], given["p_a"], given["n_b"], given["p_b"])
    found = [_crossing(test, served, given["T"], bound, seed) for seed in range(first, last + 1)]
    crossed = [tick for tick in found if tick is not None]
    answers.exactly("first_ticks", found)
    answers.exactly("detected", len(crossed))
    if "median" in answers.expected and found:
        # A run that never crossed counts as later than all others; null: most runs never did.
        ticks = [math.inf if tick is None else tick for tick in found]
        given_median = answers.expected["median"]
        median = math.inf if given_median is None else given_median
        is_between = statistics.median_low(ticks) <= median <= statistics.median_high(ticks)
        answers.exactly_as("the median in the middle of the first ticks", True, is_between)


class _Served(NamedTuple):
    """What two arms serve in every tick: requests, and the probability that one fails."""

    n_a: int
    p_a: float
    n_b: int
    p_b: float


@lru_cache(maxsize=10_000)
def _crossing(test: OddsRatioTest, served: _Served, ticks: int, bound: float, seed: int) -> int | None:
    """Remembered, as the file of cases is gone through several times, and nothing in it takes as long."""
    draw, state = random.Random(seed).random, test.begin()
    n_a, p_a, n_b, p_b = served
    for tick in range(1, ticks + 1):
        x_a = sum([draw() < p_a for _ in range(n_a)])
        x_b = sum([draw() < p_b for _ in range(n_b)])
        state = update(state, _remembered(test, Table(n_a, x_a, n_b, x_b)))
        if e_value(state) >= bound:
            return tick
    return None


@lru_cache(maxsize=100_000)
def _remembered(test: OddsRatioTest, table: Table) -> tuple[float, ...] | None:
    """The same few tables come again and again."""
    return test.log_ratios(table)


def _properties(_: Data, answers: _Answers) -> None:
    for sentence in answers.expected["list"]:
        answers.exactly_as(sentence, "holds", broken_properties(sentence) or "holds")


KINDS: Mapping[str, Callable[[Data, _Answers], None]] = {
    "table_loglr": _one_table,
    "unit_mean": _unit_mean,
    "onesample_loglr": _one_sample,
    "harm_process": _harm_process,
    "noninferior_process": _no_harm_process,
    "below_process": _below_process,
    "above_process": _above_process,
    "latency_average": _latency_average,
    "latency_shift": _latency_shift,
    "combine": _combine,
    "decide": _decide,
    "dispersion_eta": _dispersion,
    "odds_ratio_cs": _interval,
    "best_arm": _best_arm,
    "mean_process": _mean_process,
    "simulation": _simulation,
    "properties": _properties,
}
