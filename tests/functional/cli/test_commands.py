"""Acting commands through the real function: what is obeyed, what is refused and in whose words."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from shared import topics
from shared.rollout.record import Phase, Rollout
from shared.wiring import world
from tests.functional.cli.town import ADA, AUDIENCE, EVE, Town, run
from tests.unit.cli.recorded import PAUSED, V2, V4, V5, fill, policy
from tests.unit.policy.files import HEAD


@pytest.fixture
def morning(town: Town) -> Town:
    fill(town.folder / "store.db")
    return town


def record(rollout: str) -> Rollout:
    stored = world().store.get_rollout(rollout)
    assert stored is not None
    return stored.rollout


def test_a_pause_is_obeyed_under_the_callers_name_and_reason(morning: Town) -> None:
    ran = morning.rollouts("pause", V4, "--reason", "load test until 14:00")
    assert (ran.code, ran.out, ran.err) == (0, f"{V4}: {ADA} paused v4: load test until 14:00 (canary)\n", "")
    hold = record(V4).hold
    assert hold is not None
    assert (hold.by, hold.reason) == (ADA, "load test until 14:00")
    entry = world().store.get_entry(f"{V4}-0004")
    assert entry is not None
    assert (entry.decision, entry.actor) == ("pause", ADA)


def test_resuming_makes_the_next_step_due_and_is_told_to_programs(morning: Town) -> None:
    due = morning.heard(topics.ROLLOUT_DUE)
    ran = morning.rollouts("resume", PAUSED, "--json")
    assert json.loads(ran.out) == {
        "rollout": PAUSED,
        "phase": "canary",
        "sentence": f"{ADA} resumed v12",
    }
    assert record(PAUSED).hold is None
    assert [json.loads(message.data)["rollout"] for message in morning.pull(due)] == [PAUSED]


def test_a_canary_is_told_to_go_on(morning: Town) -> None:
    assert (
        morning.rollouts("promote", V4, "--reason", "urgent").out == f"{V4}: {ADA} told v4 to go on: urgent (canary)\n"
    )
    assert record(V4).approved


def test_aborting_asks_for_the_traffic_at_once(morning: Town) -> None:
    alerts = morning.heard(topics.ALERT_FIRED)
    ran = morning.rollouts("abort", V4, "--reason", "wrong labels")
    assert ran.out == f"{V4}: {ADA} aborts v4: wrong labels (canary)\n"
    stop = record(V4).stop
    assert stop is not None
    assert (stop.outcome, stop.by) == (Phase.ROLLED_BACK, ADA)
    (alert,) = morning.pull(alerts)
    assert json.loads(alert.data)["rollout"] == V4


def test_what_has_ended_or_is_no_canary_is_refused_with_the_reason(morning: Town) -> None:
    ended = morning.rollouts("pause", V2)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: {V2} has ended: Rolled back v2: error_rate")
    queued = morning.rollouts("promote", V5, "--json")
    assert (queued.code, queued.err) == (1, "")
    assert json.loads(queued.out) == {
        "error": f"{V5} is queued; only a shadow, an experiment or a canary can be promoted to its next stage",
        "status": 409,
    }


def test_an_unknown_rollout_is_refused_with_where_to_look(morning: Town) -> None:
    ran = morning.rollouts("pause", "churn-v9-000009")
    assert (ran.code, ran.err) == (
        1,
        "error: there is no rollout churn-v9-000009; `rollouts list` shows the open ones\n",
    )


def test_who_is_no_operator_is_refused(town: Town) -> None:
    access = f"access: {{operators: [{ADA}]}}\n"
    world().store.put_policy(policy(town.folder, HEAD + access), ADA, world().now())
    ran = town.rollouts("adopt", "churn", who=EVE)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"error: {EVE} is not among the operators of churn (access.operators in its policy)\n"


def test_a_token_for_somebody_else_or_of_somebody_else_is_refused(morning: Town) -> None:
    for token in ("nonsense", morning.issuer.mint(ADA, "another-audience"), morning.issuer.mint(ADA, AUDIENCE, -60)):
        ran = morning.rollouts("pause", V4, "--token", token, "--json")
        told = json.loads(ran.out)
        assert (ran.code, told["status"]) == (1, 401)
        assert told["error"].startswith("the ID token is not valid: ")
    assert record(V4).hold is None


def gcloud(folder: Path, script: str) -> None:
    """A program of that name, where the command line looks."""
    program = folder / "gcloud"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_the_token_is_asked_of_gcloud_when_none_is_given(morning: Town) -> None:
    gcloud(morning.folder, f'[ "$*" = "auth print-identity-token" ] && echo {morning.issuer.mint(ADA, AUDIENCE)}')
    assert morning.rollouts("pause", V4, who=None).out == f"{V4}: {ADA} paused v4 (canary)\n"


def test_without_gcloud_or_a_login_it_says_how_to_get_a_token(morning: Town) -> None:
    absent = morning.rollouts("pause", V4, who=None)
    assert (absent.code, absent.err) == (
        1,
        "error: there is no ID token, and gcloud is not installed to make one; give the token by ROLLOUTS_ID_TOKEN\n",
    )
    gcloud(morning.folder, "echo 'ERROR: You do not currently have an active account selected.' >&2; exit 1")
    assert "active account selected.; log in with `gcloud auth login`" in morning.rollouts("pause", V4, who=None).err
    gcloud(morning.folder, "exit 0")
    assert "it ended with 0 and no token" in morning.rollouts("pause", V4, who=None).err


def test_a_function_that_cannot_be_reached_is_exit_2_and_what_to_check(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        environment = {"ROLLOUTS_ID_TOKEN": "t", "ROLLOUTS_COMMAND_URL": url}
        ran = run(("pause", V4), environment, tmp_path)
        told = run(("pause", V4, "--json"), environment, tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {url} cannot be reached (")
    assert "check --url or ROLLOUTS_COMMAND_URL" in ran.err
    assert (told.code, json.loads(told.out)["status"]) == (2, None)


def test_an_address_that_is_missing_or_not_encrypted_is_refused_before_a_token_is_sent(tmp_path: Path) -> None:
    missing = run(("abort", V4), {}, tmp_path)
    assert (missing.code, missing.err.startswith("error: the address of receive_command is not known; ")) == (1, True)
    plain = run(("abort", V4, "--url", "http://example.com"), {"ROLLOUTS_ID_TOKEN": "t"}, tmp_path)
    assert (plain.code, "http://example.com is not encrypted" in plain.err) == (1, True)
    odd = run(("abort", V4, "--url", "receive-command"), {}, tmp_path)
    assert odd.err == "error: receive-command is no address; it begins with https://\n"


@contextmanager
def somebody_else(status: int, body: bytes = b"<html>") -> Iterator[tuple[str, list[str]]]:
    """A server that is not the function; its address, and the authorizations it was shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", "/login")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (403, b"<html>", 1, "ask for roles/run.invoker"),
        (401, b"<html>", 1, "has not expired"),
        (404, b"<html>", 2, "is not receive_command (404); check --url"),
        (302, b"", 2, "is not receive_command (302)"),
        (200, b"[]", 2, "is not receive_command (200)"),
        (500, b"oops", 2, "failed (500) before it could say why"),
        (503, b'{"error": "the keys cannot be fetched; try again"}', 1, "the keys cannot be fetched; try again"),
    ],
)
def test_answers_that_are_not_the_functions_are_told_apart(
    tmp_path: Path, status: int, body: bytes, code: int, said: str
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    with somebody_else(status, body) as (url, shown):
        ran = run(
            ("pause", V4), {"ROLLOUTS_ID_TOKEN": "t", "ROLLOUTS_COMMAND_URL": url, "HOME": str(tmp_path)}, tmp_path
        )
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert shown == ["Bearer t"], "sent once, and not replaced by what a .netrc file says"
