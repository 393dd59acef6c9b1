"""``rollouts status``: the exit code of a rollout."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from shared.rollout.record import Phase
from shared.rollout.stops import BudgetStop
from shared.wiring import store_from_env
from tests.unit.cli.conftest import Rollouts
from tests.unit.cli.recorded import CLOCK, NOW, V2, V3, V4


@pytest.mark.parametrize(("id_", "code"), [(V2, 3), (V3, 0)])
def test_the_exit_code_says_how_it_ended(morning: Rollouts, id_: str, code: int) -> None:
    ran = morning("status", id_)
    assert (ran.code, ran.err) == (code, "")
    assert ran.out.startswith(f"{id_}: ")


def test_one_under_way_is_4_when_the_time_is_over(morning: Rollouts) -> None:
    ran = morning("status", V4, "--timeout", "0s", "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["exit_code"], told["rollout"]["phase"]) == (4, 4, "canary")


def test_a_wrong_id_or_time_is_not_taken_for_an_end(morning: Rollouts) -> None:
    assert morning("status", "churn-v4-000044").code == 1
    ran = morning("status", V4, "--timeout", "soon")
    assert ran.code == 1
    assert "--timeout is not understood: 'soon' is not a duration" in ran.err


def test_it_waits_until_all_the_traffic_is_there(morning: Rollouts, tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    waiting = subprocess.Popen(
        [sys.executable, "-m", "rollouts_cli.main", "status", V4, "--until", "traffic"],
        env={"PYTHONPATH": root, "STORE_PATH": str(tmp_path / "store.db"), **CLOCK},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        stored = store.get_rollout(V4)
        assert stored
        store.transition(stored, stored.rollout.moved(NOW, phase=Phase.WATCHING, stage=2, stage_since=NOW))
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert out.startswith(f"{V4}: ◌ watching")


def test_it_says_what_holds_a_new_rollout_back(morning: Rollouts, tmp_path: Path) -> None:
    since, until = datetime(2026, 11, 1, 7, tzinfo=UTC), NOW + timedelta(days=3)
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        store.budgets.put(BudgetStop("b-1", since, Decimal(1), "the budget models has passed 100 %", NOW, until))
        stored = store.get_rollout(V4)
        assert stored
        store.transition(stored, stored.rollout.moved(NOW, phase=Phase.QUEUED))
    why = f"no new rollout begins until {until:%Y-%m-%d %H:%M} UTC: the budget models has passed 100 %; `rollouts unfreeze --budget` lets it"
    assert f"nothing goes forward: {why}\n" in morning("status", V4, "--timeout", "0s").out.replace("\n", " ").replace(
        "lets it ", "lets it\n"
    )
    assert json.loads(morning("status", V4, "--timeout", "0s", "--json").out)["barred"] == why
    frozen = morning("freezes")
    assert frozen.out.replace("\n", " ").startswith("new rollouts: frozen by Cloud Billing since ")
    assert why in " ".join(morning("explain", V4).out.split())
