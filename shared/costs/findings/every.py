"""All that is looked for, in the order in which it is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from shared.costs.advice import Advice, advise
from shared.costs.findings import (
    cohosting,
    gpu,
    leftovers,
    machine,
    minimum,
    no_traffic,
    nobody,
    saturated,
    slow,
    spot,
    standby,
)
from shared.costs.findings.finding import Case, Finding, Found, Unmeasured
from shared.costs.fleet import Fleet
from shared.costs.holdings import Holding
from shared.costs.prices import PriceBook

REMOVALS: tuple[Callable[[Case], Found], ...] = (
    standby.find_expired,
    leftovers.find_shadow,
    leftovers.find_forgotten,
    no_traffic.find,
)
"""What need not be there at all. What is found so is not looked at any further: nobody resizes what should go."""
RESIZES: tuple[Callable[[Case], Found], ...] = (
    standby.find_pinned,
    minimum.find,
    machine.find,
    gpu.find,
    spot.find,
    saturated.find,
    slow.find,
)
NO_SAVING = Decimal("0.00")


@dataclass(frozen=True)
class Conclusions:
    """All that is concluded from a fleet."""

    findings: tuple[Finding, ...]
    unmeasured: tuple[Unmeasured, ...]
    advices: tuple[Advice, ...]


def find_everything(fleet: Fleet, book: PriceBook, held: Sequence[Holding]) -> Conclusions:
    """The findings, the dearest first, each replica's saving counted once; and what could not be concluded.

    One deployed model after the other: what was derived of one is let go before the next, except where it may share a machine.
    """
    findings: list[Finding] = []
    unmeasured: list[Unmeasured] = []
    advices: list[Advice] = []
    small: list[tuple[Case, float]] = []
    for holding in held:
        if holding.deployed.until is not None:
            continue  # it is gone; nothing can be saved any more
        case = Case(fleet, book, holding)
        gone = False
        for found in _ask(case, REMOVALS):
            if isinstance(found, Finding):
                gone = True
                findings.append(found)
                break
            unmeasured.append(found)
        if gone:
            continue
        if (advice := advise(case)) is not None:
            advices.append(advice)
        if (memory := cohosting.shareable(case)) is not None:
            small.append((case, memory))
        for found in _ask(case, RESIZES):
            if isinstance(found, Finding):
                findings.append(found)
            else:
                unmeasured.append(found)
    findings += cohosting.find_all(small)
    findings += nobody.find_all(fleet, list(held))
    return Conclusions(once(findings), tuple(dict.fromkeys(unmeasured)), tuple(advices))


def once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sorted by saving; where two would save the same replicas, the larger saving is counted and the other is shown beside it.

    Both may be possible one after the other. What the second saves then is another number, and the next audit says it.
    """
    taken: set[str] = set()
    shown = []
    for finding in sorted(findings, key=_order):
        saves = finding.saving is not None and finding.saving > 0
        free = taken.isdisjoint(finding.claims)
        if saves and free:
            taken.update(finding.claims)
        shown.append(replace(finding, counted=saves and free))
    return tuple(shown)


def _order(finding: Finding) -> tuple[int, Decimal, str, str, str]:
    amount = finding.saving
    group = 0 if amount is not None and amount > 0 else 1 if amount is None else 2 if amount < 0 else 3
    return group, -(amount or NO_SAVING), finding.kind, finding.endpoint, finding.subject


def _ask(case: Case, kinds: Sequence[Callable[[Case], Found]]) -> Iterator[Finding | Unmeasured]:
    for find in kinds:
        found = find(case)
        if found is not None:
            yield found
