"""What every function does with events that it cannot handle, cannot handle now, or should not handle any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from local.stepped import PROJECT
from shared import topics
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy

TICKED = ("assess_rollouts", "find_training_runs", "retire_models")
WOKEN = ("register_model", "start_rollout", "advance_rollout", "roll_back", "notify", *TICKED)
Out = pytest.CaptureFixture[str]


def lines(out: Out, *severities: str) -> list[dict[str, Any]]:
    """What was logged since the last look."""
    logged = [json.loads(line) for line in out.readouterr().out.splitlines()]
    return [line for line in logged if not severities or line["severity"] in severities]


def version(number: str = "1") -> dict[str, str]:
    return {
        "schema": "model-uploaded/v1",
        "project": PROJECT,
        "region": "us-central1",
        "model": "churn",
        "version": number,
    }


@pytest.mark.parametrize("function", WOKEN)
@pytest.mark.parametrize(
    "data", [b"\xff not json", b"[1, 2]", b'{"schema": "unheard-of/v9", "token": "hidden"}'], ids=repr
)
def test_poison_is_acknowledged_said_once_and_kept(cloud: Cloud, capsys: Out, function: str, data: bytes) -> None:
    assert cloud.wake(function, data) == 200
    (error,) = lines(capsys, "ERROR")
    assert error["message"].startswith(f"{function} cannot handle this event and keeps it in the dead letters: ")
    assert "hidden" not in error["message"]
    assert error["logging.googleapis.com/labels"]["function"] == function
    (kept,) = cloud.dead_letters()
    assert kept.data == data
    assert kept.attributes["function"] == function
    assert kept.attributes["reason"] in error["message"]
    assert kept.attributes["message_id"].startswith("m")
    assert kept.attributes["topic"].startswith(f"projects/{PROJECT}/topics/")


@pytest.mark.parametrize("function", WOKEN)
def test_an_event_that_is_not_from_pubsub_is_poison(cloud: Cloud, capsys: Out, function: str) -> None:
    event = {"specversion": "1.0", "type": "google.cloud.storage.object.v1.finalized", "source": "//s", "id": "7"}
    answer = cloud.apps.client(function).post(
        "/", data=json.dumps(event | {"data": {}}), content_type="application/cloudevents+json"
    )
    assert answer.status_code == 200
    (error,) = lines(capsys, "ERROR")
    assert "found 'google.cloud.storage.object.v1.finalized'" in error["message"]
    (kept,) = cloud.dead_letters()
    assert (kept.attributes["function"], kept.attributes["message_id"]) == (function, "7")


@pytest.mark.parametrize("function", WOKEN)
def test_poison_is_not_acknowledged_while_it_cannot_be_kept(cloud: Cloud, function: str) -> None:
    cloud.pubsub.stop()
    assert cloud.wake(function, b"not json") == 500


@pytest.mark.parametrize(
    ("function", "data", "method"),
    [
        ("register_model", Cloud.train, "ListModelVersions"),
        ("start_rollout", lambda _: version(), "ListModelVersions"),
        ("advance_rollout", lambda c: {"schema": "rollout-due/v1", "rollout": c.rollout("1").id}, "GetEndpoint"),
        ("roll_back", Cloud.alarm, "GetEndpoint"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_outage_of_vertex_brings_the_event_again(
    cloud: Cloud, capsys: Out, function: str, data: Callable[[Cloud], dict[str, Any]], method: str
) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    body = data(cloud) | ({"run_id": "run-2"} if function == "register_model" else {})
    capsys.readouterr()
    cloud.emulator.faults.fail(method, times=None)
    assert cloud.wake(function, body) == 500
    (warning,) = [line for line in lines(capsys, "WARNING", "ERROR") if line["message"].startswith(function)]
    assert warning["severity"] == "WARNING"
    assert "will try again" in warning["message"]
    assert cloud.dead_letters() == []
    cloud.emulator.faults.clear()
    assert cloud.wake(function, body) in (200, 500 if function == "register_model" else 200)


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED])
def test_an_outage_of_vertex_only_delays_what_ticks_do(cloud: Cloud, status: grpc.StatusCode) -> None:
    source = {"message": True, "custom_job": "churn-train"}
    cloud.apply(policy(register={"from": source, "container": {"image": "sim/churn:1"}}))
    cloud.deploy("run-1")
    cloud.register("run-2")
    cloud.settle()
    for method in ("ListEndpoints", "ListCustomJobs"):
        cloud.emulator.faults.fail(method, status, times=None)
    assert [cloud.tick(job) for job in TICKED] == [200, 200, 200]
    assert cloud.dead_letters() == []
    cloud.emulator.faults.clear()
    cloud.minutes(12, requests=0)
    assert cloud.split() == {"1": 90, "2": 10}


def test_an_alert_that_was_understood_waits_for_the_permission_to_act(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.advance(minutes=4)
    alarm = cloud.alarm()
    cloud.emulator.faults.fail("UpdateEndpoint", grpc.StatusCode.PERMISSION_DENIED, times=2)
    assert [cloud.wake("roll_back", alarm) for _ in range(3)] == [500, 500, 200]
    assert cloud.dead_letters() == []
    assert cloud.split() == {"1": 100}


@pytest.mark.parametrize("function", WOKEN)
def test_an_outage_of_the_store_brings_the_event_again(cloud: Cloud, function: str) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    (changed, *_) = cloud.published(topics.ROLLOUT_CHANGED)
    data = {
        "register_model": cloud.train("run-2"),
        "start_rollout": version(),
        "advance_rollout": {"schema": "rollout-due/v1", "rollout": cloud.rollout("1").id},
        "roll_back": cloud.alarm(),
        "notify": json.loads(changed.data),
    }.get(function, {"schema": "tick/v1", "job": function})
    with cloud.without_store():
        assert cloud.wake(function, data) == 500
    assert cloud.dead_letters() == []


@pytest.mark.parametrize("function", [name for name in WOKEN if name != "roll_back"])
def test_an_event_that_is_too_old_is_dropped_with_a_line(cloud: Cloud, capsys: Out, function: str) -> None:
    short = {name: {"schema": "tick/v1", "job": name} for name in TICKED}
    short["advance_rollout"] = {"schema": "rollout-due/v1", "rollout": "r"}
    data = short.get(function, b"whatever it says")
    age = timedelta(minutes=11) if function in short else timedelta(hours=25)
    with cloud.cost() as spent:
        assert cloud.wake(function, data, age=age) == 200
    assert not spent
    (line,) = lines(capsys)
    assert line["severity"] == "WARNING"
    assert line["message"].startswith(f"{function} dropped an event: published 2026-11-2")


def test_an_alert_is_never_too_old(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.advance(minutes=4)
    assert cloud.wake("roll_back", cloud.alarm(), age=timedelta(days=3)) == 200
    assert cloud.split() == {"1": 100}


@pytest.mark.parametrize("function", TICKED)
def test_a_tick_of_another_job_is_acknowledged_and_nothing_is_done(cloud: Cloud, capsys: Out, function: str) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    capsys.readouterr()
    other = next(job for job in TICKED if job != function)
    with cloud.cost() as spent:
        assert cloud.wake(function, {"schema": "tick/v1", "job": other}) == 200
    assert not spent
    assert lines(capsys, "WARNING", "ERROR") == []


def test_a_correlation_id_is_on_every_line_of_its_event(cloud: Cloud, capsys: Out) -> None:
    cloud.apply(policy())
    capsys.readouterr()
    assert cloud.wake("register_model", cloud.train(), correlation_id="order-17") == 500
    labels = [line["logging.googleapis.com/labels"] for line in lines(capsys)]
    assert labels
    assert all(found.get("correlation") == "order-17" for found in labels)


@pytest.mark.parametrize(
    ("function", "data", "reason"),
    [
        ("advance_rollout", {"schema": "rollout-due/v1", "rollout": "no-such"}, "rollout no-such is not in the store"),
        (
            "notify",
            {"schema": "rollout-changed/v1", "rollout": "no-such", "entry": "no-such-0001"},
            "ledger entry no-such-0001 is not in the store",
        ),
    ],
)
def test_an_event_about_something_that_does_not_exist_is_kept(
    cloud: Cloud, function: str, data: dict[str, Any], reason: str
) -> None:
    assert cloud.wake(function, data) == 200
    (kept,) = cloud.dead_letters()
    assert kept.attributes["reason"] == reason


def test_a_reason_that_is_too_long_for_an_attribute_is_cut(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.emulator.faults.fail("UploadModel", grpc.StatusCode.INVALID_ARGUMENT, message="ü" * 1200)
    assert cloud.wake("register_model", cloud.train()) == 200
    (kept,) = cloud.dead_letters()
    assert "üüü" in kept.attributes["reason"]
    assert len(kept.attributes["reason"].encode()) <= 1024


def test_an_upload_of_a_model_without_a_policy_is_ignored(cloud: Cloud, capsys: Out) -> None:
    with cloud.cost() as spent:
        assert cloud.wake("start_rollout", version()) == 200
    assert not spent
    assert "ignored: no policy for model churn" in [line["message"] for line in lines(capsys)]


def test_a_version_that_is_not_visible_yet_is_looked_for_again(cloud: Cloud, capsys: Out) -> None:
    cloud.apply(policy())
    assert cloud.wake("start_rollout", version("7")) == 500
    (line,) = lines(capsys)
    assert (line["severity"], line["message"]) == ("INFO", "start_rollout will look again: churn@7 is not visible yet")


def test_every_tick_leaves_a_heartbeat(cloud: Cloud, capsys: Out) -> None:
    cloud.tick("assess_rollouts")
    beats = [line for line in lines(capsys) if line.get("heartbeat") == "assess_rollouts"]
    assert [beat["message"] for beat in beats] == ["assessed 0 rollouts: 0 due, 0 to roll back"]


def test_a_rollout_whose_policy_is_lost_does_not_stop_the_others(cloud: Cloud, capsys: Out) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    stored = cloud.world.store.get_rollout(cloud.rollout("1").id)
    assert stored is not None
    cloud.world.store.transition(stored, replace(stored.rollout, policy_version=99))
    targets = [{"region": "us-central1", "endpoint": "fraud-serving"}]
    cloud.apply(policy(model="fraud", targets=targets))
    capsys.readouterr()
    cloud.register("run-1", model="fraud")
    cloud.settle()
    cloud.minutes(13, requests=0)
    assert cloud.split("fraud-serving") == {"1": 100}
    assert any("keeps version 99 of the policy" in line["message"] for line in lines(capsys, "ERROR"))
