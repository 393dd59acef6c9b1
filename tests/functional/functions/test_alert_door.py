"""Who tries the door of ``receive_alert``: what is not proven is not believed, and what is overheard is soon worth nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from local.identity import Issuer
from shared import topics
from shared.senders import SHORTEST
from shared.signature import ID, SIGNATURE, TIMESTAMP, TOLERANCE, sign
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy
from tests.functional.functions.test_receive_alert import TOKEN, basic, incident, send, webhook

__all__ = ["webhook"]


@pytest.fixture
def signed_in(signed: Issuer) -> Issuer:
    """Under another name: ``signed`` is a function here."""
    return signed


def signed(cloud: Cloud, body: bytes, secret: str = TOKEN, **changes: str) -> dict[str, str]:
    return sign(secret, "alert-1", body, cloud.now) | changes


def body(cloud: Cloud, **changes: Any) -> bytes:
    return json.dumps(cloud.alarm(**changes)).encode()


def test_another_sender_signs_and_its_secret_never_travels(webhook: Cloud) -> None:
    data = body(webhook)
    assert send(webhook, data, token=None, headers=signed(webhook, data)).status_code == 202
    assert len(webhook.published(topics.ALERT_FIRED)) == 1


@pytest.mark.parametrize("by", [TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)])
def test_a_signature_outside_its_time_is_not_believed(webhook: Cloud, by: timedelta) -> None:
    data = body(webhook)
    headers = signed(webhook, data)
    webhook.now += by
    assert send(webhook, data, token=None, headers=headers).status_code == 401


def test_a_signature_covers_body_id_and_time(webhook: Cloud) -> None:
    data = body(webhook)
    good = signed(webhook, data)
    later = str(int(good[TIMESTAMP]) + 1)
    for changed in (
        signed(webhook, data + b" "),
        good | {ID: "alert-2"},
        good | {TIMESTAMP: later},
        good | {TIMESTAMP: "1" * 5000},
        good | {TIMESTAMP: "-1"},
        good | {TIMESTAMP: "\xb2\xb3"},
        good | {SIGNATURE: good[SIGNATURE].removeprefix("v1=")},
        good | {SIGNATURE: good[SIGNATURE].upper()},
        good | {SIGNATURE: "v1=\xff"},
        signed(webhook, data, secret="another-secret-of-alerts"),
    ):
        assert send(webhook, data, token=None, headers=changed).status_code == 401, changed
    assert webhook.published(topics.ALERT_FIRED) == []


def test_a_wrong_signature_is_not_saved_by_a_right_token(webhook: Cloud) -> None:
    """Whoever signs wants the body to be proven; a proxy that changed it must not get through by the address."""
    data = body(webhook)
    assert send(webhook, data + b" ", headers=signed(webhook, data)).status_code == 401


def test_a_secret_that_can_be_guessed_is_none(webhook: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    short = "x" * (SHORTEST - 1)
    for secret in ("", short):
        monkeypatch.setenv("ALERT_TOKEN", secret)
        data = body(webhook)
        assert send(webhook, data, token=secret).status_code == 401
        assert send(webhook, data, token=None, headers=basic(secret)).status_code == 401
        assert send(webhook, data, token=None, headers=signed(webhook, data, secret=secret)).status_code == 401


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("application/cloudevents+json", 202),
        (None, 202),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("application/xml", 415),
    ],
)
def test_only_json_is_an_alert(webhook: Cloud, kind: str | None, status: int) -> None:
    assert send(webhook, body(webhook), content_type=kind).status_code == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_stranger_learns_nothing_by_asking_in_other_ways(webhook: Cloud, method: str) -> None:
    client = webhook.apps.client("receive_alert")
    assert client.open("/", method=method).status_code in (401, 405)
    assert client.open("/anything/below?auth_token=x", method=method).status_code in (401, 405)
    assert client.open("/", method=method, query_string={"auth_token": TOKEN}).status_code == 405


def test_the_secret_is_in_no_answer_log_or_dead_letter(webhook: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    attempts: list[dict[str, Any]] = [
        {"body": b"nonsense"},
        {"body": b"nonsense", "token": None, "headers": basic(TOKEN)},
        {"body": body(webhook)},
        {"body": b"x" * 300_000},
        {"body": b"nonsense", "content_type": "text/plain"},
        {"body": b"{}", "token": TOKEN + "\x00"},
        {"body": b"{}", "token": TOKEN[:-1]},
        {"body": json.dumps({"incident": {"incident_id": 1, "state": {}}}).encode()},
    ]
    answers = [send(webhook, attempt.pop("body"), **attempt) for attempt in attempts]
    webhook.pubsub.stop()
    answers += [send(webhook, b"nonsense"), send(webhook, body(webhook))]
    assert [a.status_code for a in answers[-2:]] == [503, 503], "what cannot even be kept is to be sent again"
    told = "".join(capsys.readouterr()) + "".join(f"{a.get_data(as_text=True)} {a.headers}" for a in answers)
    assert "will try again" not in told or TOKEN not in told
    assert TOKEN[:-1] not in told
    assert "Traceback" not in "".join(a.get_data(as_text=True) for a in answers)


def test_an_incident_that_is_sent_again_and_again_gives_the_traffic_back_once(webhook: Cloud) -> None:
    webhook.apply(policy())
    webhook.deploy("run-1")
    webhook.deploy("run-2")
    webhook.advance(minutes=5)
    data = body(webhook, deployed_model=webhook.rollout("2").deployed_id)
    with webhook.cost() as spent:
        for _ in range(20):
            assert send(webhook, data).status_code == 202
        webhook.settle()
    assert webhook.split() == {"1": 100}
    assert spent["UpdateEndpoint"] == 1
    assert webhook.decisions("2").count("roll_back") == 1


def test_an_incident_of_long_ago_takes_no_traffic_from_the_next_rollout(webhook: Cloud, signed_in: Issuer) -> None:
    webhook.apply(policy())
    webhook.deploy("run-1")
    webhook.deploy("run-2")
    webhook.advance(minutes=5)
    data = body(webhook)
    assert send(webhook, data).status_code == 202
    webhook.settle()
    assert webhook.split() == {"1": 100}
    webhook.advance(hours=2)
    webhook.deploy("run-3")
    webhook.advance(minutes=5)
    assert webhook.split() == {"1": 90, "3": 10}
    assert send(webhook, data).status_code == 202
    webhook.settle()
    assert webhook.split() == {"1": 90, "3": 10}
    assert webhook.rollout("3").hold is None, "and does not stop it either"
    other = body(webhook, started_at=(webhook.now - timedelta(hours=1)).isoformat())
    assert send(webhook, other).status_code == 202
    webhook.settle()
    assert webhook.rollout("3").hold is not None, "one that nobody has answered yet does"
    webhook.command({"command": "resume", "rollout": webhook.rollout("3").id})
    assert send(webhook, other).status_code == 202
    webhook.settle()
    assert webhook.rollout("3").hold is None, "once"


def test_text_from_outside_stays_on_its_line(webhook: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = 'down\n{"severity": "CRITICAL"}\r\u2028\u202e\x1b[2J<!channel> <b>*x*</b>'
    notification = incident()
    found = notification["incident"]
    for key in ("condition_name", "policy_name", "summary", "incident_id"):
        found[key] = nasty
    assert send(webhook, notification).status_code == 202
    (message,) = webhook.published(topics.ALERT_FIRED)
    alert = json.loads(message.data)
    assert alert["sentence"].startswith('down {"severity": "CRITICAL"} [2J<!channel>')
    assert alert["sentence"].isprintable()
    webhook.apply(policy())
    capsys.readouterr()
    assert webhook.wake("roll_back", message.data) == 200
    for line in capsys.readouterr().out.splitlines():
        assert json.loads(line)["severity"] in ("INFO", "WARNING", "ERROR")
    for entry in webhook.world.store.ledger():
        assert entry.sentence.isprintable()
        assert entry.id.isascii()
        assert "\n" not in entry.id


def test_what_python_can_hold_and_utf8_cannot_is_logged_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    from shared import log

    log.warning("half \ud800", name="\udfff", trace="x")
    line = json.loads(capsys.readouterr().out)
    assert (line["message"], line["name"]) == ("half \ud800", "\udfff")


@pytest.mark.parametrize("header", ["x/1", "g" * 32, "0" * 33, "../../other/traces/" + "0" * 32, ""])
def test_a_made_up_trace_joins_no_line_to_anything(
    webhook: Cloud, capsys: pytest.CaptureFixture[str], header: str
) -> None:
    send(webhook, b"nonsense", headers={"X-Cloud-Trace-Context": header})
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "logging.googleapis.com/trace" not in line
