"""Somebody else writes to the endpoint, or to the record, in the middle of what a function does; rollback wins."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import grpc
import pytest

from shared.errors import ConflictError
from shared.rollout.labels import read_labels
from shared.rollout.record import Phase
from shared.vertex.endpoints import Endpoints
from tests.faults.faults import Interleaved, When, hook_into
from tests.faults.rig import TARGET, Rig, analysis_alert, incident


@pytest.fixture
def trial(rig: Rig) -> Rig:
    """v1 has 90 %, v2 is on trial with 10 % for some minutes."""
    rig.begin_trial()
    rig.after(6)
    return rig


def interleave(rig: Rig, method: str, when: When, action: Callable[[], object]) -> Interleaved:
    """Let the action happen in the middle of the next call of that method."""
    interleaved = Interleaved(method, when, action)
    hook_into(rig.emulator.faults, interleaved)
    return interleaved


def label_it(value: str) -> None:
    """Another team's program keeps a label of its own on the endpoint."""
    endpoints = Endpoints()
    endpoint = endpoints.get(TARGET)
    assert endpoint is not None
    endpoints.write_labels(endpoint, {**endpoint.labels, "team": value})


def split_it(rig: Rig, stable: int) -> None:
    """Somebody moves the traffic by hand."""
    endpoints, rollout = Endpoints(), rig.rollout("2")
    endpoint = endpoints.get(TARGET)
    assert endpoint is not None
    split = {rollout.stable_id: stable, rollout.deployed_id: 100 - stable}
    endpoints.write_traffic(endpoint, split, endpoint.labels)


def promote(rig: Rig) -> None:
    """Make the next share due."""
    rig.command("promote", "2")


def roll_back(rig: Rig) -> int:
    return rig.post("roll_back", analysis_alert(rig.rollout("2"), rig.now), "alert-1").status


def step(rig: Rig) -> int:
    """One hint to the rollout, past the queue."""
    hint = {"rollout": rig.rollout("2").id, "schema": "rollout-due/v1"}
    return rig.post("advance_rollout", json.dumps(hint).encode(), "hint-2").status


# -- rolling back ----------------------------------------------------------------------------------


def test_another_teams_label_between_read_and_write_costs_a_second_pair_and_is_kept(trial: Rig) -> None:
    faults = interleave(trial, "UpdateEndpoint", "before", lambda: label_it("vision"))
    trial.emulator.calls.clear()
    assert roll_back(trial) < 300
    assert faults.happened
    assert trial.shares() == {"1": 100}
    assert trial.endpoint.labels["team"] == "vision"
    assert [m for m, _ in trial.emulator.calls if m == "UpdateEndpoint"] == ["UpdateEndpoint"] * 3, "ours, theirs, ours"
    assert len(trial.ledger("roll_back")) == 1


def test_a_split_written_by_hand_between_read_and_write_does_not_survive_a_rollback(trial: Rig) -> None:
    faults = interleave(trial, "UpdateEndpoint", "before", lambda: split_it(trial, 30))
    assert roll_back(trial) < 300
    assert faults.happened
    assert trial.shares() == {"1": 100}
    entry = trial.ledger("roll_back")[0]
    assert entry.traffic_before is not None
    assert sorted(entry.traffic_before.values()) == [30, 70], "the ledger has what the rollback really found"


def test_a_writer_that_is_always_first_sends_the_alert_back_and_it_stands_at_the_next_delivery(trial: Rig) -> None:
    trial.emulator.faults.fail("UpdateEndpoint", grpc.StatusCode.ABORTED, times=None, message="etag mismatch")
    assert roll_back(trial) == 500
    assert trial.shares() == {"1": 90, "2": 10}
    assert trial.rollout("2").phase is Phase.CANARY, "nothing is said to be done that is not done"
    trial.emulator.faults.clear()
    assert roll_back(trial) < 300
    assert trial.shares() == {"1": 100}
    assert len(trial.ledger("roll_back")) == 1


def test_a_program_that_writes_all_the_time_does_not_keep_a_rollback_from_standing(trial: Rig) -> None:
    finished = threading.Event()
    written: list[int] = []

    def write_on() -> None:
        while not finished.wait(0.002):
            try:
                label_it(f"n{len(written)}")
                written.append(1)
            except ConflictError:
                continue

    writers = [threading.Thread(target=write_on) for _ in range(2)]
    for writer in writers:
        writer.start()
    answers = [roll_back(trial)]
    while answers[-1] >= 300:
        answers.append(roll_back(trial))
    finished.set()
    for writer in writers:
        writer.join()
    assert written
    assert trial.shares() == {"1": 100}
    assert read_labels(trial.endpoint.labels).closed == trial.rollout("2").id
    assert len(trial.ledger("roll_back")) == 1


def test_two_alerts_about_one_trial_at_once_roll_it_back_once(trial: Rig) -> None:
    named = incident(trial.now, deployed_model=trial.rollout("2").deployed_id)
    faults = interleave(trial, "UpdateEndpoint", "before", lambda: trial.post("roll_back", named, "alert-2"))
    assert roll_back(trial) < 300
    assert faults.happened
    assert trial.shares() == {"1": 100}
    assert [(e.version, e.phase) for e in trial.ledger("roll_back")] == [("2", "rolled_back")]


# -- advancing -------------------------------------------------------------------------------------


def test_another_teams_label_only_delays_an_advance(trial: Rig) -> None:
    promote(trial)
    faults = interleave(trial, "UpdateEndpoint", "before", lambda: label_it("vision"))
    trial.deliver()
    assert faults.happened
    assert trial.shares() == {"1": 90, "2": 10}, "refused: the endpoint was not as it was read"
    trial.after(1)
    trial.tick()
    assert trial.shares() == {"1": 50, "2": 50}
    assert trial.endpoint.labels["team"] == "vision"
    told = [e.sentence for e in trial.ledger("advance") if e.sentence.startswith("Advanced v2 to 50 %")]
    assert len(told) == 1


def test_a_split_written_by_hand_during_an_advance_is_drift_and_pauses(trial: Rig) -> None:
    faults = interleave(trial, "UpdateEndpoint", "before", lambda: split_it(trial, 30))
    trial.run_until(lambda: faults.happened)
    trial.emulator.faults.clear()
    trial.run_until(lambda: trial.rollout("2").hold is not None, ticks=5)
    assert trial.shares() == {"1": 30, "2": 70}, "the policy says pause: a person's write is not undone"
    assert "somebody else has moved it" in trial.rollout("2").sentence


def test_a_rollback_between_an_advances_read_and_write_wins(trial: Rig) -> None:
    promote(trial)
    faults = interleave(trial, "UpdateEndpoint", "before", lambda: roll_back(trial))
    trial.deliver()
    assert faults.happened
    assert trial.shares() == {"1": 100}
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    for _ in range(4):
        trial.after(5)
        trial.tick()
    assert trial.shares() == {"1": 100}
    assert not [e for e in trial.ledger("advance") if e.sentence.startswith("Advanced v2 to 50 %")]
    assert len(trial.ledger("roll_back")) == 1


def test_a_rollback_right_after_an_advances_write_wins(trial: Rig) -> None:
    promote(trial)
    faults = interleave(trial, "UpdateEndpoint", "after", lambda: roll_back(trial))
    trial.deliver()
    assert faults.happened
    for _ in range(4):
        trial.after(5)
        trial.tick()
    assert trial.shares() == {"1": 100}
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    assert len(trial.ledger("roll_back")) == 1


def test_a_rollout_that_is_aborted_while_its_share_is_raised_gives_it_back(trial: Rig) -> None:
    def abort() -> None:
        trial.command("abort", "2", "looks odd")

    promote(trial)
    faults = interleave(trial, "UpdateEndpoint", "after", abort)
    assert step(trial) == 500
    assert faults.happened
    assert trial.shares() == {"1": 100}, "by the step itself: the alert that the abort published is not delivered yet"
    trial.after(1)
    trial.tick()
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    assert trial.shares() == {"1": 100}
    raised = [s.traffic_split for s in trial.emulator.history.of("serving") if 50 in s.traffic_split.values()]
    assert len(raised) <= 1, "raised once at most, and never again"


def test_two_steps_of_one_rollout_at_once_raise_its_share_once(trial: Rig) -> None:
    promote(trial)
    faults = interleave(trial, "UpdateEndpoint", "before", lambda: step(trial))
    trial.deliver()
    assert faults.happened
    trial.after(1)
    trial.tick()
    assert trial.shares() == {"1": 50, "2": 50}
    assert len([e for e in trial.ledger("advance") if e.sentence.startswith("Advanced v2 to 50 %")]) == 1
