"""What people tell a rollout to do, over HTTPS with an ID token."""

from __future__ import annotations

from typing import Any

import pytest

from local.identity import Issuer
from shared.rollout.record import Phase
from tests.functional.functions.harness import AUDIENCE, Cloud
from tests.functional.functions.policies import policy


@pytest.fixture
def trial(cloud: Cloud, signed: Issuer) -> Cloud:
    """Version 2 has a tenth of the traffic."""
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    return cloud


def test_a_paused_rollout_stands_still_until_it_is_resumed(trial: Cloud) -> None:
    assert trial.tell("pause", "2", reason="holiday") == "ann@example.com paused v2: holiday"
    trial.minutes(10, requests=0)
    assert trial.split() == {"1": 90, "2": 10}
    hold = trial.rollout("2").hold
    assert hold is not None
    assert (hold.by, hold.reason) == ("ann@example.com", "holiday")
    trial.tell("resume", "2")
    assert trial.split() == {"1": 50, "2": 50}, "its bake time is long over"
    entry = next(e for e in trial.ledger("2") if e.decision == "resume")
    assert entry.actor == "ann@example.com"


def test_pausing_twice_is_one_entry(trial: Cloud) -> None:
    trial.tell("pause", "2")
    trial.tell("pause", "2")
    assert trial.decisions("2").count("pause") == 1


def test_promote_goes_to_the_next_stage_at_once(trial: Cloud) -> None:
    trial.tell("promote", "2", reason="seen enough")
    assert trial.split() == {"1": 50, "2": 50}
    trial.tell("promote", "2")
    assert trial.split() == {"2": 100}
    assert trial.rollout("2").phase is Phase.WATCHING


def test_promoting_a_paused_rollout_lifts_the_pause(trial: Cloud) -> None:
    trial.tell("pause", "2")
    trial.tell("promote", "2")
    assert trial.split() == {"1": 50, "2": 50}
    assert trial.rollout("2").hold is None


def test_abort_gives_the_traffic_back_without_a_tick(trial: Cloud) -> None:
    trial.tell("abort", "2", reason="wrong data")
    assert trial.split() == {"1": 100}
    rollout = trial.rollout("2")
    assert rollout.phase is Phase.ROLLED_BACK
    assert "aborted by ann@example.com: wrong data" in rollout.sentence


def test_abort_before_the_first_share_closes_the_rollout(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.register("run-2")
    cloud.settle()
    assert cloud.rollout("2").phase is Phase.DEPLOYING
    cloud.tell("abort", "2")
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    cloud.minutes(12, requests=0)
    assert cloud.split() == {"1": 100}
    cloud.deploy("run-3")
    assert cloud.split() == {"1": 90, "3": 10}


def test_abort_in_the_watch_gives_the_traffic_to_the_fallback(trial: Cloud) -> None:
    trial.tell("promote", "2")
    trial.tell("promote", "2")
    trial.tell("abort", "2", reason="complaints")
    assert trial.split() == {"1": 100}
    assert trial.rollout("2").phase is Phase.ROLLED_BACK


def test_abort_works_while_the_rollout_is_paused(trial: Cloud) -> None:
    trial.tell("pause", "2")
    trial.tell("abort", "2")
    assert trial.split() == {"1": 100}


def test_what_has_ended_cannot_be_told_anything(trial: Cloud) -> None:
    trial.tell("abort", "2", reason="wrong data")
    status, answer = trial.command({"command": "resume", "rollout": trial.rollout("2").id})
    assert status == 409
    assert "has ended: " in answer["error"]


def test_a_watch_cannot_be_promoted(trial: Cloud) -> None:
    trial.tell("promote", "2")
    trial.tell("promote", "2")
    status, answer = trial.command({"command": "promote", "rollout": trial.rollout("2").id})
    assert status == 409
    assert "only a shadow, an experiment or a canary can be promoted" in answer["error"]


def test_who_names_the_share_that_is_meant_can_say_it_again(trial: Cloud) -> None:
    """The answer was lost, and the stage was entered: another one is not meant."""
    for _ in range(3):
        trial.tell("promote", "2", traffic=50)
    assert trial.split() == {"1": 50, "2": 50}
    status, answer = trial.command({"command": "promote", "rollout": trial.rollout("2").id, "traffic": 70})
    assert status == 409
    assert "comes to 100 % next, not to 70 %; look at it again" in answer["error"]
    for _ in range(2):
        trial.tell("promote", "2", traffic=100)
    assert trial.split() == {"2": 100}


def test_only_operators_may_command_where_the_policy_names_them(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(policy(access={"operators": ["bob@example.com"]}))
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    body = {"command": "pause", "rollout": cloud.rollout("2").id}
    status, answer = cloud.command(body)
    assert status == 403
    assert "ann@example.com is not among the operators of churn" in answer["error"]
    assert cloud.rollout("2").hold is None
    assert cloud.command(body, signed.mint("bob@example.com", AUDIENCE))[0] == 200
    assert cloud.rollout("2").hold is not None


@pytest.mark.parametrize("token", ["", "nonsense", "expired", "other audience", "other key"])
def test_nobody_commands_without_a_valid_token(trial: Cloud, signed: Issuer, token: str) -> None:
    made = {
        "expired": lambda: signed.mint("ann@example.com", AUDIENCE, seconds=-3600),
        "other audience": lambda: signed.mint("ann@example.com", "somebody-else"),
        "other key": lambda: Issuer.create().mint("ann@example.com", AUDIENCE),
    }
    sent = made[token]() if token in made else token
    status, answer = trial.command({"command": "pause", "rollout": trial.rollout("2").id}, sent)
    assert status == 401
    assert answer["error"]
    assert trial.rollout("2").hold is None


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (None, "body"),
        ([], "body"),
        ({"command": "explode", "rollout": "x"}, "command"),
        ({"command": "pause"}, "pause needs 'rollout'"),
        ({"command": "adopt"}, "adopt needs 'model'"),
        ({"command": "pause", "rollout": "x", "forced": True}, "forced"),
        ({"command": "pause", "rollout": "no-such-rollout"}, "there is no rollout no-such-rollout"),
        ({"command": "adopt", "model": "no-such-model"}, "there is no policy for no-such-model"),
    ],
)
def test_a_command_that_is_not_understood_says_what_to_change(
    cloud: Cloud, signed: Issuer, body: Any, complaint: str
) -> None:
    status, answer = cloud.command(body)
    assert status == 400
    assert complaint in answer["error"]


def test_commands_are_posted(cloud: Cloud, signed: Issuer) -> None:
    answer = cloud.apps.client("receive_command").get("/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_command_while_pubsub_is_down_asks_to_try_again(trial: Cloud) -> None:
    rollout = trial.rollout("2").id
    trial.pubsub.stop()
    status, answer = trial.command({"command": "abort", "rollout": rollout})
    assert status == 503
    assert answer["error"].endswith("; try again")


def test_a_command_that_is_too_large_is_refused(cloud: Cloud, signed: Issuer) -> None:
    status, answer = cloud.command({"command": "pause", "rollout": "x", "reason": "y" * 256 * 1024})
    assert status == 413
    assert "at most" in answer["error"]
