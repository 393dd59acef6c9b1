"""Whole rollouts in a world where everything may go wrong, and everything comes to its end all the same."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.rollout.labels import read_labels
from shared.rollout.names import rollout_id
from shared.rollout.observed import Endpoint
from shared.rollout.record import Phase, Rollout
from shared.rollout.split import same_split
from tests.unit.rollout.interpreter import BAD, BROKEN, GOOD, SILENT, World
from tests.unit.rollout.worlds import CHECK, NOW, REF, STABLE, at_rest, policy, rollout

QUIET_TICKS = 400
"""Of five minutes on average: more than a deadline of a day."""


def record(version: int) -> Rollout:
    usual = rollout(Phase.QUEUED, version=str(version), id=rollout_id("churn", str(version), REF))
    return replace(usual, created_at=NOW, updated_at=NOW, phase_since=NOW)


def world(seed: int, versions: int = 2, empty: bool = False, **spec: Any) -> World:
    """One model with a stable (or none yet, and no endpoint), and versions that arrive together."""
    records = [record(n + 2) for n in range(versions)]
    usual = {"checks": [CHECK], "stages": [{"traffic": t, "bake": "15m"} for t in (10, 50, 100)]}
    usual["standby"] = {"hold": "10m", "for": "1h"}
    found = World(
        policy(usual | spec),
        Random(seed),
        None if empty else replace(at_rest(), deployed=(at_rest().deployed[0],)),
        {r.id: r for r in records},
    )
    found.health = dict.fromkeys(found.rollouts, GOOD)
    return found


def run(found: World, ticks: int) -> None:
    for _ in range(ticks):
        found.tick()


def calmed(found: World) -> World:
    """Good health, no crash, and a person who sees to what is paused; then all rollouts have to end."""
    found.calm = True
    found.health = dict.fromkeys(found.rollouts, GOOD)
    for tick in range(QUIET_TICKS):
        found.tick()
        open_ones = [r for r in found.rollouts.values() if r.phase.is_open]
        if not open_ones:
            return found
        for r in open_ones:
            if tick % 10 == 9 and r.hold and r.stop is None:
                found.put_right(found.rollouts[r.id])
    raise AssertionError("these never end:\n" + "\n".join(found.log[-60:]))


def seen(found: World) -> Endpoint:
    assert found.endpoint is not None
    return found.endpoint


DRIFTS = st.sampled_from(["pause", "reassert", "adopt"])
SUPERSEDES = st.sampled_from(["queue", "replace", "reject"])
OUTCOMES = st.sampled_from(["hold", "pause", "roll_back"])


@settings(max_examples=120)
@given(st.integers(0, 2**32), st.booleans(), DRIFTS, SUPERSEDES, OUTCOMES, st.sampled_from(["pause", "redeploy"]))
@example(
    256, False, "reassert", "reject", "hold", "pause"
)  # stopped between a first share that was taken back and the next
def test_whatever_happens_every_rollout_ends_and_nobody_is_left_with_traffic_that_is_not_promoted(
    seed: int, empty: bool, drift: str, supersede: str, then: str, missing: str
) -> None:
    patience = {"after": "30m", "then": then}
    usual = {"no_data": patience, "provider_error": patience, "deploy_attempts": 2}
    found = world(seed, 3, empty, drift=drift, supersede=supersede, stable_missing=missing, **usual)
    try:
        run(found, 40)
        calmed(found)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *found.log[-60:]])) from error
    if found.endpoint is None:
        return
    labels = read_labels(seen(found).labels)
    assert labels.rollout == labels.candidate == labels.fallback == ""
    assert found.slot == ""
    if not found.meddled:
        assert not seen(found).split or same_split(seen(found).split, {labels.stable: 100})
        for r in found.rollouts.values():
            holds = seen(found).share(r.deployed_id) > 0
            assert r.phase is Phase.PROMOTED or not holds


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_goes_wrong_the_newest_version_is_promoted(seed: int) -> None:
    for empty in (False, True):
        found = calmed(world(seed, 1, empty))
        (r,) = found.rollouts.values()
        assert r.phase is Phase.PROMOTED
        assert seen(found).split == {r.deployed_id: 100}
        assert read_labels(seen(found).labels).stable == r.deployed_id


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_version_is_taken_back_by_itself(seed: int) -> None:
    found = world(seed, 1)
    found.calm = True
    found.health = dict.fromkeys(found.rollouts, BAD)
    run(found, 60)
    (r,) = found.rollouts.values()
    assert r.phase is Phase.ROLLED_BACK
    assert seen(found).split == {STABLE: 100}
    assert read_labels(seen(found).labels).closed == r.id


@pytest.mark.parametrize("mood", [SILENT, BROKEN])
def test_a_version_that_nobody_can_judge_stays_at_its_first_share(mood: str) -> None:
    found = world(1, 1)
    found.calm = True
    found.health = dict.fromkeys(found.rollouts, mood)
    run(found, 100)
    (r,) = found.rollouts.values()
    assert (r.phase, r.stage) == (Phase.CANARY, 0)
    assert r.hold is not None, "and a person was told"
    assert seen(found).share(r.deployed_id) == 10
