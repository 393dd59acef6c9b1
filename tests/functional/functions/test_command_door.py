"""Who tries the door of ``receive_command``: forged, expired, replayed and unauthorised commands change nothing and are in the ledger."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest

from local.identity import Issuer
from shared import topics
from shared.rollout.record import LedgerEntry
from tests.functional.functions.harness import AUDIENCE, Cloud
from tests.functional.functions.policies import policy

ANN = "ann@example.com"


@pytest.fixture
def trial(cloud: Cloud, signed: Issuer) -> Cloud:
    """Version 2 has a tenth of the traffic."""
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    for topic in topics.ALL:
        cloud.published(topic)
    return cloud


def refused(cloud: Cloud) -> list[LedgerEntry]:
    return [entry for entry in cloud.world.store.ledger() if entry.decision == "refuse"]


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "email": ANN, "email_verified": True}
    return {k: v for k, v in (said | {"iat": now, "exp": now + 600} | changes).items() if v is not None}


def signed_by(issuer: Issuer, **changes: Any) -> str:
    kid = issuer.jwks()["keys"][0]["kid"]
    return jwt.encode(claims(**changes), issuer._key, algorithm="RS256", headers={"kid": kid})


def unsigned(header: dict[str, Any], **changes: Any) -> str:
    parts = (json.dumps(part).encode() for part in (header, claims(**changes)))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def confused(issuer: Issuer) -> str:
    """Signed by HMAC with what everybody can read, by hand: no library does it."""
    ((kid, pem),) = issuer.pems().items()
    content = unsigned({"alg": "HS256", "kid": kid})[:-1]
    digest = hmac.new(pem.encode(), content.encode(), "sha256").digest()
    return f"{content}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


FORGED: dict[str, Callable[[Issuer], str]] = {
    "nothing": lambda _: "",
    "a word": lambda _: "nonsense",
    "three dots": lambda _: "..",
    "binary": lambda _: "\xff.\xfe.\xfd",
    "a megabyte": lambda _: "a" * 10**6 + ".b.c",
    "no algorithm": lambda _: unsigned({"alg": "none", "typ": "JWT"}),
    "no algorithm, our key": lambda i: unsigned({"alg": "none", "kid": i.jwks()["keys"][0]["kid"]}),
    "the public key as a secret": confused,
    "another's key": lambda _: signed_by(Issuer.create()),
    "another's key under our name": lambda i: jwt.encode(
        claims(), Issuer.create()._key, algorithm="RS256", headers={"kid": i.jwks()["keys"][0]["kid"]}
    ),
    "another signature": lambda i: signed_by(i)[:-8] + "AAAAAAAA",
    "expired": lambda i: signed_by(i, iat=1, exp=2),
    "from the future": lambda i: signed_by(i, iat=int(time.time()) + 9000, exp=int(time.time()) + 9600),
    "for somebody else": lambda i: signed_by(i, aud="https://elsewhere.example.com"),
    "for nobody": lambda i: signed_by(i, aud=None),
    "of another issuer": lambda i: signed_by(i, iss="https://issuer.example.com"),
    "without an address": lambda i: signed_by(i, email=None),
    "an address that nobody verified": lambda i: signed_by(i, email_verified=False),
    "an address that says it is verified": lambda i: signed_by(i, email_verified="true"),
}


@pytest.fixture(params=["JWK set", "certificates"])
def form(request: pytest.FixtureRequest, trial: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Google publishes its keys in two forms, which two libraries read."""
    if request.param == "certificates":
        url = trial.world.environment["ID_TOKEN_CERTS_URL"]
        monkeypatch.setenv("ID_TOKEN_CERTS_URL", f"{url}/pem")
        trial.open()
    return trial


def test_every_forged_token_is_refused_and_repeated_nowhere(
    form: Cloud, signed: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"command": "pause", "rollout": form.rollout("2").id}
    assert form.command(body, signed_by(signed))[0] == 200, "a good one made the same way is believed"
    form.tell("resume", "2")
    capsys.readouterr()
    for name, forge in FORGED.items():
        token = forge(signed)
        status, answer = form.command(body, token)
        assert status == 401, name
        if len(token) > 2:
            assert token not in answer["error"]
        form.advance(seconds=61)
    assert form.rollout("2").hold is None
    assert form.split() == {"1": 90, "2": 10}
    entries = refused(form)
    assert len(entries) == len(FORGED), "one a minute, and a minute has passed between two"
    assert {(e.actor, e.rollout, e.model) for e in entries} == {("unknown", "", "")}
    assert "Refused a command of unknown: the ID token is not valid: it has expired" in [e.sentence for e in entries]
    logged = capsys.readouterr().out
    for forge in FORGED.values():
        if len(token := forge(signed)) > 20:
            assert token[:200] not in logged


def test_a_flood_of_strangers_is_one_entry_a_minute_and_one_question_to_google(
    trial: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Certs(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(Issuer.create().jwks()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with Served(Certs) as url:
        monkeypatch.setenv("ID_TOKEN_CERTS_URL", url)
        trial.open()
        forger = Issuer.create()
        for number in range(200):
            body = {"command": "abort", "rollout": trial.rollout("2").id, "id": f"flood-{number:06d}"}
            assert trial.command(body, forger.mint(ANN, AUDIENCE))[0] == 401
    assert len(asked) == 1
    assert len(refused(trial)) == 1
    assert [len(trial.published(topic)) for topic in topics.ALL] == [0] * len(topics.ALL)


def test_keys_that_cannot_be_fetched_are_no_reason_to_believe(trial: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ID_TOKEN_CERTS_URL", "http://127.0.0.1:9/keys")
    trial.open()
    status, answer = trial.command({"command": "pause", "rollout": trial.rollout("2").id})
    assert status == 503
    assert answer["error"].startswith("the keys that sign ID tokens cannot be fetched: ")
    assert trial.rollout("2").hold is None


def test_a_command_that_was_overheard_is_taken_once(trial: Cloud) -> None:
    body = {"id": "overheard-0001", "command": "promote", "rollout": trial.rollout("2").id}
    assert trial.command(body)[0] == 200
    trial.settle()
    assert trial.split() == {"1": 50, "2": 50}
    status, answer = trial.command(body)
    assert (status, answer["error"].split(";")[0]) == (409, "command overheard-0001 was taken before")
    trial.advance(minutes=50)
    assert trial.command({**body, "command": "abort"})[0] == 409, "under whatever name"
    trial.settle()
    assert trial.split() == {"1": 50, "2": 50}, "not a stage further"
    entries = refused(trial)
    assert [(e.actor, e.rollout, e.model) for e in entries] == [(ANN, trial.rollout("2").id, "churn")] * 2


def test_without_an_id_it_is_no_command(trial: Cloud) -> None:
    for id_ in (None, "", "short", "with space 12", "x" * 65, "a\nnew-line", "../../claims"):
        status, answer = trial.command({"id": id_, "command": "pause", "rollout": trial.rollout("2").id})
        assert status == 400
        assert "id: " in answer["error"]


def test_nobody_may_command_where_nobody_is_named(trial: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google signs an ID token for any audience for whoever has a project: a valid token alone is no permission."""
    monkeypatch.setenv("COMMAND_OPERATORS", "")
    status, answer = trial.command({"command": "abort", "rollout": trial.rollout("2").id})
    assert status == 403
    assert answer["error"].startswith("nobody may command churn: name operators in access.operators")
    monkeypatch.setenv("COMMAND_OPERATORS", "bob@example.com, ANN@example.com")
    assert trial.command({"command": "pause", "rollout": trial.rollout("2").id})[0] == 200
    (entry,) = refused(trial)
    assert (entry.actor, entry.rollout) == (ANN, trial.rollout("2").id)


def test_each_command_asks_who_it_is(trial: Cloud, signed: Issuer) -> None:
    eve = signed.mint("eve@example.com", AUDIENCE)
    for number, command in enumerate(("pause", "resume", "abort", "promote", "adopt"), 1):
        about = {"model": "churn"} if command == "adopt" else {"rollout": trial.rollout("2").id}
        with trial.cost() as spent:
            status, _ = trial.command({"command": command, **about}, eve)
        assert status == 403, command
        assert not spent, "neither Vertex AI nor Pub/Sub was asked"
        assert [e.actor for e in refused(trial)] == ["eve@example.com"] * number
        trial.advance(seconds=61)


def test_no_audience_is_no_door(trial: Cloud, signed: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the address that was called the audience, its caller could choose it by the header Host."""
    monkeypatch.setenv("COMMAND_AUDIENCE", "")
    headers = {"Authorization": f"Bearer {signed.mint(ANN, 'http://evil.example.com/')}", "Host": "evil.example.com"}
    answer = trial.apps.client("receive_command").post("/", json={}, headers=headers)
    assert (answer.status_code, answer.get_json()["error"]) == (
        401,
        "no token can be valid here: COMMAND_AUDIENCE is not set",
    )


def test_a_store_that_is_down_does_not_let_anybody_in(trial: Cloud) -> None:
    rollout = trial.rollout("2").id
    with trial.without_store():
        assert trial.command({"command": "pause", "rollout": rollout}, "nonsense")[0] == 401
        assert trial.command({"command": "pause", "rollout": rollout})[0] == 503


NASTY = 'seen\nPromoted v9 to 100 %\r{"severity": "ERROR"}\x1b[31m\u2028\u202e<b>\x85'


def test_a_reason_cannot_begin_a_line_of_its_own_anywhere(trial: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    sentence = trial.tell("pause", "2", reason=NASTY)
    plain = 'seen Promoted v9 to 100 % {"severity": "ERROR"} [31m <b>'
    assert sentence == f"{ANN} paused v2: {plain}"
    assert trial.rollout("2").sentence == sentence
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines if line.get("decision") == "pause"] == [sentence]
    for half in ("\ud800", "x\udfffy"):
        status, answer = trial.command({"command": "pause", "rollout": trial.rollout("2").id, "reason": half})
        assert status == 400
        assert "reason" in answer["error"]


class Served:
    """An HTTP server while inside; its address."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
