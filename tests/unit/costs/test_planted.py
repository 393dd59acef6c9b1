"""Fleets with planted waste: everything is found, nothing else, and the sum is right to the cent."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import pytest

from shared.costs.audit import Audit, audit
from shared.costs.findings.finding import Finding
from shared.costs.fleet_file import read_fleet
from shared.costs.prices import read_prices, shipped
from tests.unit.costs.planted import LOOKALIKES, WASTE, Truth, World, planted, spot_prices

BOOK = read_prices(spot_prices(), "spot.json").over(shipped())


@lru_cache(maxsize=4)
def audited(seed: int) -> tuple[World, Audit]:
    world = planted(200, seed)
    return world, audit(read_fleet(world.file(), "fleet.json"), BOOK)


def as_truth(finding: Finding) -> Truth:
    last = finding.endpoint.rpartition("/")[2]
    name = finding.subject if finding.kind == "version_without_owner" else last
    return Truth(finding.kind, name, None if finding.saving is None else f"{finding.saving:f}", finding.counted)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_planted_case_is_found_and_no_other(seed: int) -> None:
    world, result = audited(seed)
    assert len(world.endpoints) == 200
    found = sorted(map(as_truth, result.findings), key=str)
    assert found == sorted(world.truths, key=str)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sum_of_the_savings_is_right_to_the_cent(seed: int) -> None:
    world, result = audited(seed)
    assert result.saving == sum(Decimal(t.saving) for t in world.truths if t.counted and t.saving)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_bill_of_the_window_is_right_to_the_cent(seed: int) -> None:
    world, result = audited(seed)
    assert abs(result.usd - world.usd) < Decimal("0.005")


def test_there_are_kinds_and_lookalikes_enough_and_each_is_in_the_fleet() -> None:
    world, _ = audited(1)
    assert len({truth.kind for truth in world.truths}) >= 15
    assert len(WASTE) >= 12 and len(LOOKALIKES) >= 12
    assert not set(world.lookalikes) & {truth.endpoint for truth in world.truths}


def test_what_was_not_measured_is_said_and_not_concluded_from() -> None:
    world, result = audited(1)
    said = {one.subject.rpartition(" on ")[2] for one in result.unmeasured}
    assert said == world.unmeasured
    assert [one.deployed.hardware.machine for one in result.unknown] == ["m9-standard-4"] * len(result.unknown)


def test_each_finding_shows_its_evidence_its_arithmetic_and_a_command() -> None:
    _, result = audited(1)
    for finding in result.findings:
        assert finding.evidence and finding.arithmetic and finding.command, finding
        if finding.counted:
            assert f"${finding.saving:,.2f}" in finding.arithmetic, finding
    assert len({finding.id for finding in result.findings}) == len(result.findings)
