"""The way of a rollout as steps: every phase has its place, whatever the policy asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shared.rollout.record import Hold, LedgerEntry, Phase
from shared.view.standing import STATES, standing
from shared.view.stepper import steps
from tests.unit.cli.recorded import NOW, STABLE, V4, a_rollout, ago, an_entry, policy
from tests.unit.policy.files import HEAD

SHADOWED = "rollout: {shadow: {bake: 15m}, stages: [{traffic: 10}, {traffic: 100}]}\n"


def states(tmp_path: Path, phase: Phase, *entries: LedgerEntry, **changes: object) -> list[str]:
    rollout = replace(a_rollout(V4, "4", phase, ago(minutes=5)), deployed_id="4", stable_id=STABLE)
    found = steps(replace(rollout, **changes), policy(tmp_path, HEAD + SHADOWED), entries, NOW)  # type: ignore[arg-type]
    return [f"{step.name} {step.state}" for step in found]


def test_each_phase_is_a_step_and_what_is_before_it_is_done(tmp_path: Path) -> None:
    ahead = ["shadow ahead", "deploy ahead", "10 % ahead", "100 % ahead"]
    assert states(tmp_path, Phase.QUEUED) == ahead
    assert states(tmp_path, Phase.SHADOW) == ["shadow now", *ahead[1:]]
    assert states(tmp_path, Phase.DEPLOYING) == ["shadow done", "deploy now", *ahead[2:]]
    assert states(tmp_path, Phase.CANARY, stage=0) == ["shadow done", "deploy done", "10 % now", *ahead[3:]]
    assert states(tmp_path, Phase.WATCHING, stage=1)[-1] == "100 % now"
    assert {s.split()[-1] for s in states(tmp_path, Phase.PROMOTED)} == {"done"}


def test_one_that_stands_still_or_has_ended_says_where(tmp_path: Path) -> None:
    held = states(tmp_path, Phase.CANARY, stage=0, hold=Hold("load test", "ada@example.com", NOW))
    assert held[2] == "10 % held"
    assert states(tmp_path, Phase.ROLLED_BACK, stage=0)[2] == "10 % ended"
    deploying = an_entry(a_rollout(V4, "4", Phase.DEPLOYING, NOW), "operate", "Deploying v4", NOW)
    assert states(tmp_path, Phase.FAILED, deploying)[:2] == ["shadow done", "deploy ended"]
    assert states(tmp_path, Phase.REJECTED)[0] == "shadow ended"


def test_the_first_version_of_a_model_passes_the_shares_over(tmp_path: Path) -> None:
    assert states(tmp_path, Phase.DEPLOYING, stable_id="") == [
        "shadow skipped",
        "deploy now",
        "10 % skipped",
        "100 % ahead",
    ]


def test_without_its_policy_there_are_no_steps() -> None:
    assert steps(a_rollout(V4, "4", Phase.CANARY, NOW), None, (), NOW) == []


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_face(phase: Phase) -> None:
    state = standing(a_rollout(V4, "4", phase, NOW), None)
    assert state.state in STATES and state.label[0].endswith(state.state)
