"""Giving the traffic back while the store is gone, or Pub/Sub; Cloud Monitoring is never there in these tests.

The traffic moves first, by one read and one write of Vertex AI. The event is not acknowledged before record, ledger and notice are
written, and when it comes again they are written once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from shared.rollout.record import LedgerEntry, Phase
from tests.faults.rig import Rig, analysis_alert, incident

Alerting = Callable[[Rig], bytes]


def by_analysis(rig: Rig) -> bytes:
    """Ours: it names the rollout."""
    return analysis_alert(rig.rollout("2"), rig.now)


def by_incident(rig: Rig) -> bytes:
    """Monitoring's: it names the deployed model."""
    return incident(rig.now, deployed_model=rig.rollout("2").deployed_id)


def by_unnamed_incident(rig: Rig) -> bytes:
    """Monitoring's, by a condition that does not keep the label: it names nobody."""
    return incident(rig.now)


ALERTS = pytest.mark.parametrize("alerting", [by_analysis, by_incident, by_unnamed_incident])


@pytest.fixture
def trial(rig: Rig) -> Rig:
    """v1 has 90 %, v2 is on trial with 10 % for some minutes."""
    rig.begin_trial()
    rig.after(6)
    rig.emulator.calls.clear()
    return rig


class LostStore:
    """The store's directory, gone and brought back."""

    def __init__(self, rig: Rig, aside: Path) -> None:
        self._rig, self._folder, self._aside = rig, rig.store_path.parent, aside

    def lose(self) -> None:
        """As a disk that is gone; the instances are new, too."""
        self._rig.world.store.close()
        shutil.copytree(self._folder, self._aside)
        shutil.rmtree(self._folder)
        self._rig.renew()

    def bring_back(self) -> None:
        """From the copy."""
        shutil.copytree(self._aside, self._folder)

    def begin_afresh(self) -> None:
        """Lost for good: an empty directory."""
        self._folder.mkdir()


@pytest.fixture
def lost(trial: Rig, tmp_path: Path) -> LostStore:
    return LostStore(trial, tmp_path / "aside")


def methods(rig: Rig) -> list[str]:
    """What was called since the trial began."""
    return [method for method, _ in rig.emulator.calls]


def warnings(output: str) -> list[str]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line["message"] for line in lines if line["severity"] == "WARNING"]


def rolled_back(rig: Rig) -> list[LedgerEntry]:
    return rig.ledger("roll_back")


@ALERTS
def test_without_the_store_the_traffic_is_back_after_one_read_and_one_write(
    trial: Rig, lost: LostStore, alerting: Alerting, capsys: pytest.CaptureFixture[str]
) -> None:
    alert = alerting(trial)
    lost.lose()
    answer = trial.post("roll_back", alert, "alert-1")
    assert methods(trial) == ["GetEndpoint", "UpdateEndpoint"]
    assert trial.shares() == {"1": 100}
    assert answer.status == 500, "the event must come again: nothing is recorded"
    said = warnings(capsys.readouterr().out)
    assert any("Rolled back relevance v2 to relevance v1" in line for line in said)
    assert any(f"directory {trial.store_path.parent} does not exist" in line for line in said)


@ALERTS
def test_when_the_store_is_there_again_the_event_completes_what_is_missing_once(
    trial: Rig, lost: LostStore, alerting: Alerting
) -> None:
    alert = alerting(trial)
    lost.lose()
    for _ in range(2):
        assert trial.post("roll_back", alert, "alert-1").status == 500
    lost.bring_back()
    trial.emulator.calls.clear()
    trial.after(3)
    for _ in range(2):
        assert trial.post("roll_back", alert, "alert-1").is_acknowledged
    assert "UpdateEndpoint" not in methods(trial)
    entries = rolled_back(trial)
    assert [(e.version, e.phase, e.event) for e in entries] == [("2", "rolled_back", "alert-1")]
    assert trial.world.store.get_notice(entries[0].id) is not None
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    assert trial.world.store.busy(trial.rollout("2").target) == "", "the endpoint is free for the next trial"
    trial.tick()
    assert len(rolled_back(trial)) == 1


@ALERTS
def test_a_store_that_is_lost_for_good_still_gets_the_entry(trial: Rig, lost: LostStore, alerting: Alerting) -> None:
    rollout = trial.rollout("2").id
    alert = alerting(trial)
    lost.lose()
    assert trial.post("roll_back", alert, "alert-1").status == 500
    lost.begin_afresh()
    for _ in range(2):
        assert trial.post("roll_back", alert, "alert-1").is_acknowledged
    entries = trial.ledger()
    assert [(e.rollout, e.decision) for e in entries] == [(rollout, "roll_back")]
    assert "Rolled back" in entries[0].sentence
    assert trial.world.store.get_notice(entries[0].id) is not None


@ALERTS
def test_without_pubsub_the_traffic_is_back_and_the_next_delivery_completes_the_rest(
    trial: Rig, alerting: Alerting, capsys: pytest.CaptureFixture[str]
) -> None:
    alert = alerting(trial)
    trial.pubsub.stop()
    trial.post("roll_back", alert, "alert-1")
    assert methods(trial) == ["GetEndpoint", "UpdateEndpoint"]
    assert trial.shares() == {"1": 100}
    assert any("publishing to" in line for line in warnings(capsys.readouterr().out))
    trial.replace_pubsub()
    assert trial.post("roll_back", alert, "alert-1").is_acknowledged
    assert [e.version for e in rolled_back(trial)] == ["2"]
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    trial.after(3)
    trial.tick()
    assert not trial.world.store.unsent_notices(), "the notice whose event was lost is announced again"


def test_in_the_watch_all_traffic_returns_to_the_fallback_without_the_store(rig: Rig, tmp_path: Path) -> None:
    rig.begin_trial()
    rig.run_until(lambda: rig.rollout("2").phase is Phase.WATCHING)
    rig.after(6)
    alert = incident(rig.now, deployed_model=rig.rollout("2").deployed_id)
    lost = LostStore(rig, tmp_path / "aside")
    lost.lose()
    rig.emulator.calls.clear()
    assert rig.post("roll_back", alert, "alert-1").status == 500
    assert methods(rig) == ["GetEndpoint", "UpdateEndpoint"]
    assert rig.shares() == {"1": 100}
    lost.bring_back()
    assert rig.post("roll_back", alert, "alert-1").is_acknowledged
    assert [(e.version, e.phase) for e in rolled_back(rig)] == [("2", "rolled_back")]
    rig.run_until(lambda: not rig.rollout("2").aliases_due)
    versions = rig.world.registry.versions("local-project", "us-central1", "relevance")
    assert {a: v.version for v in versions for a in v.aliases} == {"champion": "1", "default": "1"}


def test_a_rollback_that_nobody_recorded_is_recorded_by_a_tick(trial: Rig, lost: LostStore) -> None:
    alert = by_incident(trial)
    lost.lose()
    assert trial.post("roll_back", alert, "alert-1").status == 500
    lost.bring_back()
    trial.after(1)
    trial.tick()
    assert [(e.version, e.phase) for e in rolled_back(trial)] == [("2", "rolled_back")]
    assert trial.rollout("2").phase is Phase.ROLLED_BACK
    assert trial.post("roll_back", alert, "alert-1").is_acknowledged
    assert len(rolled_back(trial)) == 1


def test_an_alert_that_waited_for_days_still_gives_the_traffic_back(trial: Rig) -> None:
    alert = by_incident(trial)
    trial.now += timedelta(days=3)
    assert trial.post("roll_back", alert, "alert-1").is_acknowledged
    assert trial.shares() == {"1": 100}
