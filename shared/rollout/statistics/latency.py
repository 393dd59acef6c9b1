"""Histograms as tables: a request is "bad" when it lies at or beyond an edge that was fixed before the rollout began.

Bucket counts are exact at bucket edges and nowhere else, so nothing is interpolated: a limit between two edges moves to the one that
makes the claim harder. Linear, exponential and explicit buckets all arrive as ``Histogram``, trimmed of empty tails; what was trimmed is
known to be empty, so an edge that one tick lacks is still counted exactly.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.rollout.histogram import quantile
from shared.rollout.observed import Histogram
from shared.rollout.statistics.dispersion import KEPT, Guarded, guard, update_guarded
from shared.rollout.statistics.tables import OddsRatioTest, Table

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)
"""Of the stable, before the rollout: shifts move the first, tails the last."""
_SAME = 1e-9
"""Relative; edges of one layout that were computed in two ways differ in the last digit."""


@dataclass(frozen=True)
class Exceedance:
    """Evidence that the candidate is slower (or, with a test of no harm, that it is not): one table and one process per edge."""

    edges: tuple[float, ...]
    processes: tuple[Guarded, ...]


def stable_edges(baseline: Histogram, quantiles: Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """The bucket edges nearest to the stable's quantiles, each once; () without buckets. Fixed for the whole rollout."""
    if not baseline.edges or not baseline.total:
        return ()
    values = [quantile(baseline, q) for q in quantiles]
    return tuple(sorted({_nearest(baseline.edges, value) for value in values}))


def surely_beyond(histogram: Histogram, limit: float) -> int:
    """How many values are known to be at or beyond ``limit``: those of buckets that begin there or later. The count for harm."""
    edges = histogram.edges
    first = bisect_left(edges, limit)
    if first and _equal(edges[first - 1], limit):
        first -= 1
    return sum(histogram.counts[first + 1 :])


def perhaps_beyond(histogram: Histogram, limit: float) -> int:
    """How many values may be at or beyond ``limit``: those of buckets that end later. The count for no harm."""
    edges = histogram.edges
    first = bisect_right(edges, limit)
    if first < len(edges) and _equal(edges[first], limit):
        first += 1
    return sum(histogram.counts[first:])


def exceedance_table(stable: Histogram, candidate: Histogram, edge: float) -> Table | None:
    """Both arms at one edge; None where an arm has a mean only and no buckets to count in.

    The same buckets count on both sides, so that also an edge inside a bucket (a layout that was changed meanwhile) compares like with like.
    """
    return shifted_table(stable, candidate, edge, edge)


def shifted_table(stable: Histogram, candidate: Histogram, stable_edge: float, candidate_edge: float) -> Table | None:
    """The stable beyond one edge beside the candidate beyond another: "slower than f times the stable" with the edges of ``factor_edge``.

    With ``harm()``: the candidate beyond f·q is no more frequent than the stable beyond q, in every tick. Exact from
    buckets. The arms count different events, so this assumes requests that are independent given the tick: a minute that is slow for
    everybody changes both counts, and not by one odds ratio.
    """
    if not stable.edges or not candidate.edges:
        return None
    return Table(
        stable.total, surely_beyond(stable, stable_edge), candidate.total, surely_beyond(candidate, candidate_edge)
    )


def factor_edge(edges: Sequence[float], stable_edge: float, factor: float, *, to_advance: bool = False) -> float | None:
    """The candidate's edge for "at most ``factor`` times the stable's": the next one at or above f·edge for harm, at or below to advance.

    Either way the claim that is tested is at least as hard as the one that was asked for. None where the layout ends before it. How
    close it comes is how fine the buckets are: a growth of 1.1 moves a margin by at most a tenth.
    """
    wanted = factor * stable_edge
    if to_advance:
        return max((edge for edge in edges if edge <= wanted or _equal(edge, wanted)), default=None)
    return min((edge for edge in edges if edge >= wanted or _equal(edge, wanted)), default=None)


def slo_counts(histogram: Histogram, limit: float, *, to_advance: bool = False) -> tuple[int, int] | None:
    """(requests, those beyond ``limit``) for ``binomial.above(1 - q)`` or ``below(1 - q)``: "the q-quantile is at most ``limit``".

    For harm only what is surely beyond counts, to advance whatever may be. None where there are no buckets to count in.
    """
    if not histogram.edges:
        return None
    return histogram.total, (perhaps_beyond if to_advance else surely_beyond)(histogram, limit)


def begin_exceedance(edges: Sequence[float], test: OddsRatioTest, kept: int = KEPT) -> Exceedance:
    """The state before its first tick; ``kept`` as in ``dispersion.Guarded`` (0: no guard)."""
    if not edges:
        raise ValueError("no edges to count at: the baseline has no buckets; judge its mean instead")
    return Exceedance(tuple(edges), tuple(guard(test, kept) for _ in edges))


def update_exceedance(state: Exceedance, test: OddsRatioTest, stable: Histogram, candidate: Histogram) -> Exceedance:
    """The state after one more tick; unchanged where an arm is empty or has no buckets."""
    tables = [exceedance_table(stable, candidate, edge) for edge in state.edges]
    return replace(
        state,
        processes=tuple(
            update_guarded(process, test, table) if table else process
            for process, table in zip(state.processes, tables, strict=True)
        ),
    )


def e_average(state: Exceedance) -> float:
    """E_lat = average of E over the edges, for harm; null: the candidate is stochastically not slower than the stable.

    An average of e-processes is one whatever their dependence (Vovk & Wang 2021, Annals of Statistics 49); it costs at most ln 5 nats.
    """
    return math.fsum(process.e / len(state.processes) for process in state.processes)


def e_every(state: Exceedance) -> float:
    """The least E over the edges, for no harm: each edge must pass (intersection-union, no correction)."""
    return min(process.e for process in state.processes)


def _nearest(edges: Sequence[float], value: float) -> float:
    return min(edges, key=lambda edge: abs(edge - value))


def _equal(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_SAME)
