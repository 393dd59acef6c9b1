"""``rollouts list``: what is under way, at every width, in a pipe and for programs."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from shared.rollout.record import Phase, Shift, Stop
from shared.view.standing import age, standing
from shared.wiring import store_from_env
from tests.unit.cli.conftest import Rollouts
from tests.unit.cli.recorded import CANDIDATE, NOW, PAUSED, STABLE, V2, V3, V4, V5, a_rollout, ago

AT_80 = """\
STATE     ROLLOUT                       STAGE      AGE
◷ queued  churn-v5-000005               0/3  0 %   3m
    Registered v5; waits for the trial churn-v4-000004
◌ canary  churn-v4-000004               1/3  10 %  41m
    Advanced v4 to 10 % (stage 1 of 3): v4 is ready
‖ paused  arr-coc-relevance-v12-0a1b2c  2/3  50 %  30h
    Paused v12: no data from the candidate since 11:00 UTC; somebody has to loo…
"""
AT_120 = """\
STATE     ROLLOUT                       MODEL              VERSION  TARGET                        STAGE      AGE
◷ queued  churn-v5-000005               churn              v5       us-central1/churn-serving     0/3  0 %   3m
    Registered v5; waits for the trial churn-v4-000004
◌ canary  churn-v4-000004               churn              v4       us-central1/churn-serving     1/3  10 %  41m
    Advanced v4 to 10 % (stage 1 of 3): v4 is ready
‖ paused  arr-coc-relevance-v12-0a1b2c  arr-coc-relevance  v12      europe-west4/arr-coc-serving  2/3  50 %  30h
    Paused v12: no data from the candidate since 11:00 UTC; somebody has to look at it
"""
ENDED_AT_60 = """\
STATE          ROLLOUT          STAGE      AGE
◷ queued       churn-v5-000005  0/3  0 %   3m
    Registered v5; waits for the trial churn-v4-000004
◌ canary       churn-v4-000004  1/3  10 %  41m
    Advanced v4 to 10 % (stage 1 of 3): v4 is ready
✔ promoted     churn-v3-000003  3/3        9d
    Promoted v3: the watch of 24h ended without harm
✖ rolled back  churn-v2-000002  1/3        12d
    Rolled back v2: error_rate 12.4 % > 1 % (31 of 250 requ…
"""


def test_what_has_no_room_is_left_out_and_the_sentence_goes_below(morning: Rollouts) -> None:
    ran = morning("list", COLUMNS="80")
    assert (ran.code, ran.out, ran.err) == (0, AT_80, "")
    assert morning("list", COLUMNS="120").out == AT_120


def test_in_a_pipe_every_rollout_is_one_whole_line(morning: Rollouts) -> None:
    head, *lines = morning("list").out.splitlines()
    assert head.split() == ["STATE", "ROLLOUT", "MODEL", "VERSION", "TARGET", "STAGE", "AGE", "WHY"]
    assert [line.split()[2] for line in lines] == [V5, V4, PAUSED]
    assert lines[2].endswith("30h  Paused v12: no data from the candidate since 11:00 UTC; somebody has to look at it")


def test_those_that_have_ended_are_shown_when_asked_for(morning: Rollouts) -> None:
    assert morning("list", "--model", "churn", "--all", COLUMNS="60").out == ENDED_AT_60


def test_more_than_the_limit_is_announced_and_not_shown(morning: Rollouts) -> None:
    ran = morning("list", "--all", "--limit", "2", COLUMNS="80")
    assert ran.out.splitlines()[-1] == "there are more; --limit 4 shows them"
    told = json.loads(morning("list", "--all", "--limit", "2", "--json").out)
    assert ([one["id"] for one in told["rollouts"]], told["more"]) == ([V5, V4], True)


def test_programs_get_the_same_with_keys_that_stay(morning: Rollouts) -> None:
    told = json.loads(morning("list", "--model", "churn", "--json").out)
    assert told["more"] is False
    assert told["rollouts"][1] == {
        "id": V4,
        "model": "churn",
        "version": "4",
        "target": {"project": "local-project", "region": "us-central1", "endpoint": "churn-serving"},
        "phase": "canary",
        "state": "canary",
        "open": True,
        "stage": 1,
        "stages": 3,
        "share": 10,
        "shifting_to": None,
        "created_at": "2026-11-23T11:19:00+00:00",
        "updated_at": "2026-11-23T11:48:00+00:00",
        "age_seconds": 2460,
        "sentence": "Advanced v4 to 10 % (stage 1 of 3): v4 is ready",
    }
    everything = json.loads(morning("list", "--all", "--json").out)["rollouts"]
    assert {one["id"]: (one["state"], one["phase"], one["share"]) for one in everything} == {
        V5: ("queued", "queued", 0),
        V4: ("canary", "canary", 10),
        PAUSED: ("paused", "canary", 50),
        V3: ("promoted", "promoted", None),
        V2: ("rolled_back", "rolled_back", None),
    }


def test_an_unknown_model_is_named_with_what_is_near(morning: Rollouts) -> None:
    ran = morning("list", "--model", "chrn")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "error: there is no policy for chrn; near it: churn; `rollouts list --all` shows all rollouts, and their models\n"
    )
    assert json.loads(morning("list", "--model", "chrn", "--json").out)["error"].startswith("there is no policy")


def test_without_a_store_it_says_where_it_looked(rollouts: Rollouts, tmp_path: Path) -> None:
    ran = rollouts("list")
    assert ran.code == 1
    assert ran.err == (
        f"error: there is no store at {tmp_path / 'store.db'}; set STORE_PATH to where it is, or for the one in the cloud "
        "STORE=firestore and GOOGLE_CLOUD_PROJECT\n"
    )
    assert not (tmp_path / "store.db").exists()


def test_where_nothing_is_under_way_it_says_how_to_see_the_rest(morning: Rollouts, tmp_path: Path) -> None:
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        stored = store.get_rollout(PAUSED)
        assert stored is not None
        store.transition(stored, stored.rollout.moved(NOW, phase=Phase.FAILED, hold=None))
    ran = morning("list", "--model", "arr-coc-relevance")
    assert ran.out == "no open rollouts of arr-coc-relevance; --all shows those that have ended\n"


def test_what_somebody_wrote_cannot_command_the_terminal(morning: Rollouts, tmp_path: Path) -> None:
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        stored = store.get_rollout(V5)
        assert stored is not None
        store.transition(stored, replace(stored.rollout, sentence="Paused: \x1b[2J\nfake"))
    assert "Paused:  [2J fake" in morning("list").out


def test_a_shift_shows_both_shares_and_a_stop_its_own_state() -> None:
    rollout = replace(a_rollout(V4, "4", Phase.CANARY, NOW), stage=0, deployed_id=CANDIDATE)
    shift = Shift({STABLE: 50, CANDIDATE: 50}, 1, Phase.CANARY, NOW, "")
    assert standing(replace(rollout, shift=shift), None).progress == "1/?"
    assert standing(replace(rollout, shift=shift), None).towards == 50
    deploying = replace(rollout, phase=Phase.DEPLOYING, stage=-1, shift=replace(shift, to={STABLE: 90, CANDIDATE: 10}))
    assert standing(deploying, None).progress == "0/?  0→10 %"
    stopped = replace(rollout, stop=Stop(Phase.ROLLED_BACK, "harm", "a@b", NOW))
    assert standing(stopped, None).label == ("⚠ stopping", "yellow")
    assert standing(replace(rollout, phase=Phase.WATCHING), None).share == 100


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ({"seconds": -5}, "0s"),
        ({"seconds": 59}, "59s"),
        ({"minutes": 59}, "59m"),
        ({"hours": 47}, "47h"),
        ({"hours": 48}, "2d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(span: dict[str, int], text: str) -> None:
    assert age(NOW - ago(**span)) == text
