"""Small models that could share one machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from shared.costs.findings.finding import Case, Finding, number, percent
from shared.costs.findings.machine import MEMORY, most_memory
from shared.costs.fleet import highest
from shared.costs.latency import forbids
from shared.costs.money import cents, usd

KIND = "cohosting"
SMALL = 0.3
"""The highest use of a model that is small enough to share."""


def find_all(cases: Iterable[tuple[Case, float]]) -> Iterator[Finding]:
    """Groups of models on equal machines of one owner whose peaks, even all at once, and memory fit on one of them."""
    alike: dict[tuple[str, ...], list[tuple[Case, float]]] = defaultdict(list)
    for case, memory in cases:
        e, hardware = case.endpoint, case.deployed.hardware
        alike[e.project, e.region, hardware.machine, str(hardware.spot), e.owner].append((case, memory))
    for _, members in sorted(alike.items()):
        for group in _packed(members):
            if len(group) > 1:
                yield _finding([case for case, _ in group])


def shareable(case: Case) -> float | None:
    """Its memory, if it could share; None if not, or if that is not known."""
    one = case.deployed
    busiest = highest(one.measured.cpu_peak)
    if not case.settled or not case.predictions or one.hardware.accelerator or case.endpoint.policy or one.minimum > 1:
        return None
    part = case.book.machine(one.hardware.region, one.hardware.machine, spot=one.hardware.spot)
    if part is None or part.includes or busiest is None or busiest > SMALL:
        return None
    memory = most_memory(case)
    if memory is None or memory > MEMORY * part.memory_gb / 2:
        return None
    load = case.load
    if load is None or not load.conclusive or max(m.replicas for m in load.moments) > 1:
        return None
    return memory


def _packed(members: list[tuple[Case, float]]) -> Iterator[list[tuple[Case, float]]]:
    """First fit, the busiest first."""
    members = sorted(members, key=lambda one: (-_peak(one[0]), one[0].holding.key))
    groups: list[list[tuple[Case, float]]] = []
    for member in members:
        fitting = next((group for group in groups if _fits([*group, member])), None)
        if fitting is None:
            groups.append([member])
        else:
            fitting.append(member)
    yield from groups


def _peak(case: Case) -> float:
    return case.load.use_peak if case.load else 0.0


def _fits(group: list[tuple[Case, float]]) -> bool:
    first = group[0][0]
    part = first.book.machine(
        first.deployed.hardware.region, first.deployed.hardware.machine, spot=first.deployed.hardware.spot
    )
    together = sum(_peak(case) for case, _ in group)
    if part is None or together > min(case.deployed.target for case, _ in group) + 1e-9:
        return False
    if sum(memory for _, memory in group) > MEMORY * part.memory_gb:
        return False
    return not any(
        forbids(case.endpoint.p95_target_ms, ((m, together) for m in case.load.moments))
        for case, _ in group
        if case.load
    )


def _finding(group: list[Case]) -> Finding:
    first = group[0]
    months = [case.holding.usd_month for case in group]
    known = [month for month in months if month is not None]
    saving: Decimal | None = cents(sum(known) - max(known)) if len(known) == len(months) else None
    names = ", ".join(case.deployed.model for case in group)
    e = first.endpoint
    return Finding(
        KIND,
        str(e),
        f"{len(group)} models in {e.region}: {names}",
        f"{len(group)} small models have a {first.deployed.hardware} each; one carries them all",
        saving,
        "low",
        (
            f"highest uses {', '.join(percent(_peak(case)) for case in group)},"
            f" all at once {percent(sum(_peak(case) for case in group))}",
            "one owner, one kind of machine; they would no longer be isolated from each other",
        ),
        f"{' + '.join(usd(month) for month in months)} a month, less {usd(max(known, default=None))} for the one that stays = {usd(saving)}",
        f"make a DeploymentResourcePool of {number(len(group))} models on one {first.deployed.hardware.machine}"
        f" in {e.project}/{e.region} and deploy them with shared resources",
        tuple(case.holding.key for case in group),
        owner=e.owner,
    )
