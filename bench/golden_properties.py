"""The metamorphic properties that golden files state in sentences, each tried on seeded random ticks.

A sentence is known by words of it; one that nobody knows is reported, not passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from shared.rollout.statistics.process import Process, e_value, update
from shared.rollout.statistics.tables import OddsRatioTest, Table, harm, log_ratio, no_harm

TRIALS = 60
_CLOSE = 1e-9
_SIDES = (harm(), no_harm(1.5))
_UNCLIPPED = tuple(OddsRatioTest(test.null, test.alternatives, "first", None) for test in _SIDES)


def broken_properties(sentence: str) -> str:
    """What breaks the property that the sentence states; empty where it holds in every trial."""
    known = [check for words, check in _CHECKS if words in sentence]
    if not known:
        return "no check is known for this sentence"
    return next((found for check in known for trial in range(TRIALS) if (found := check(Random(trial)))), "")


def _ticks(random: Random) -> list[Table]:
    return [_table(random) for _ in range(random.randint(1, 12))]


def _table(random: Random, most: int = 600) -> Table:
    n_a, n_b = random.randint(1, most), random.randint(1, max(1, most // 5))
    p = random.choice([0.002, 0.02, 0.3, 0.9])
    return Table(n_a, sum(random.random() < p for _ in range(n_a)), n_b, sum(random.random() < p for _ in range(n_b)))


def _after(test: OddsRatioTest, ticks: list[Table]) -> Process:
    process = test.begin()
    for table in ticks:
        process = update(process, test.log_ratios(table))
    return process


def _order(random: Random) -> str:
    ticks = _ticks(random)
    for test in _UNCLIPPED:
        one, other = (e_value(_after(test, order)) for order in (ticks, random.sample(ticks, len(ticks))))
        if not math.isclose(one, other, rel_tol=_CLOSE):
            return f"{one!r} became {other!r} in another order of {ticks}"
    return ""


def _psis(random: Random) -> tuple[float, float]:
    return random.choice([0.05, 0.5, 1.25, 3.0, 100.0]), random.choice([0.8, 1.0, 1.1, 2.0])


def _same_ratio(table: Table, mirrored: Table, psi: float, null: float) -> str:
    one, other = log_ratio(table, psi, null), log_ratio(mirrored, 1 / psi, 1 / null)
    return "" if math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-8) else f"{one!r} became {other!r} for {table}"


def _arms(random: Random) -> str:
    n_a, x_a, n_b, x_b = table = _table(random)
    return _same_ratio(table, Table(n_b, x_b, n_a, x_a), *_psis(random))


def _successes(random: Random) -> str:
    n_a, x_a, n_b, x_b = table = _table(random)
    return _same_ratio(table, Table(n_a, n_a - x_a, n_b, n_b - x_b), *_psis(random))


def _empty(random: Random) -> str:
    ticks = _ticks(random)
    empty = [Table(0, 0, 60, 5), Table(540, 9, 0, 0), Table(0, 0, 0, 0)]
    changed = [test for test in _SIDES if _after(test, ticks) != _after(test, [*ticks, *empty])]
    return f"empty ticks changed E of {ticks}" if changed else ""


def _least(random: Random) -> str:
    ticks = _ticks(random)
    for at in range(1, len(ticks) + 1):
        harmed, unharmed = (e_value(_after(test, ticks[:at])) for test in _SIDES)
        if harmed < 1 / (at + 1) or unharmed < 0:
            return f"E is {harmed!r} for harm and {unharmed!r} for no harm after {ticks[:at]}"
    return ""


def _monotone(random: Random) -> str:
    ticks = _ticks(random)
    at = random.randrange(len(ticks))
    n_a, x_a, n_b, x_b = ticks[at]
    if x_b == 0 or x_a == n_a:
        return ""
    moved = [*ticks[:at], Table(n_a, x_a + 1, n_b, x_b - 1), *ticks[at + 1 :]]
    before, after = (e_value(_after(_SIDES[0], order)) for order in (ticks, moved))
    return (
        "" if after <= before * (1 + _CLOSE) else f"{before!r} became {after!r} with one error fewer in tick {at + 1}"
    )


def _unit(random: Random) -> str:
    table, null = _table(random, 60), random.choice([1.0, 1.1, 2.0])
    psi = null * random.choice([1.0, 1.25, 3.0, 30.0])
    n_a, n_b, m = table.stable, table.candidate, table.bad
    ratios = {x: log_ratio(Table(n_a, m - x, n_b, x), psi, null) for x in range(max(0, m - n_a), min(n_b, m) + 1)}
    for truth in (null, null * 0.7, null * 0.1):
        ways = {x: math.comb(n_b, x) * math.comb(n_a, m - x) * truth**x for x in ratios}
        mean = math.fsum(ways[x] * math.exp(ratios[x]) for x in ratios) / math.fsum(ways.values())
        if mean > 1 + _CLOSE or (truth == null and mean < 1 - _CLOSE):
            return f"the mean at {truth:g} of {psi:g} against {null:g} is {mean!r} for the totals of {table}"
    return ""


_CHECKS: tuple[tuple[str, Callable[[Random], str]], ...] = (
    ("order irrelevant", _order),
    ("permut", _order),
    ("swapping arms", _arms),
    ("counting successes", _successes),
    ("good/bad", _successes),
    ("empty arm", _empty),
    ("never < 0", _least),
    ("monotone", _monotone),
    ("never increases", _monotone),
    ("E_psi0[", _unit),
)
