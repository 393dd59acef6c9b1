"""``rollouts doctor``: each check against a server that answers as Google's does, through the real clients."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from local.cloud import ROUTES
from local.pubsub.clients import publisher_at, subscriber_at
from local.pubsub.wiring import wire
from local.stepped import PROJECT, Apps, Servers
from rollouts_cli.commands.doctor import doctor
from rollouts_cli.doctor import google, here, pulse, wiring
from rollouts_cli.doctor.finding import Finding, Health, examined, worst
from rollouts_cli.doctor.table import Deployed, deployed
from shared.errors import PermanentError
from tests.functional.functions.policies import policy
from vertex_emulator.metrics import Resource

TABLE = deployed()
RUN = Resource(
    "cloud_run_revision", {"project_id": PROJECT, "location": "us-central1", "service_name": "assess-rollouts"}
)


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """Local servers without functions: the doctor asks none of them."""
    made = Servers(cast(Apps, None), tmp_path)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    made.open()
    wire(made.pubsub.address, PROJECT, ROUTES, lambda name: f"https://{name}.example.com")
    yield made
    made.close()


@contextmanager
def answering(answers: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """An HTTP server that answers by path, without its query, and with 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(found or {"error": {"message": "there is no such thing"}}).encode()
            self.send_response_only(200 if found is not None else 404)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **(headers or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def asked(address: str) -> google.Google:
    session = requests.Session()
    session.trust_env = False
    return google.Google(session, dict.fromkeys(google.ADDRESSES, address))


def said(findings: list[Finding]) -> str:
    return "\n".join(f"{one.health} {one.sentence}" for one in findings)


def test_subscriptions_that_are_wired_are_well(servers: Servers) -> None:
    found = list(wiring.subscriptions(PROJECT, TABLE))
    assert worst(found) is Health.OK, said(found)


def test_a_subscription_that_is_missing_or_too_impatient_is_named_with_what_to_do(servers: Servers) -> None:
    with subscriber_at(servers.pubsub.address) as subscriber:
        subscriber.delete_subscription(subscription=f"projects/{PROJECT}/subscriptions/notify")
        name = f"projects/{PROJECT}/subscriptions/roll-back"
        subscriber.update_subscription(
            {
                "subscription": {"name": name, "ack_deadline_seconds": 60},
                "update_mask": {"paths": ["ack_deadline_seconds"]},
            }
        )
    found = list(wiring.subscriptions(PROJECT, TABLE))
    assert {one.sentence for one in found} == {
        "notify: is missing, so nothing wakes the function",
        "roll-back: delivers again after 60 s, while the function may work for 540 s",
    }
    assert {one.remedy for one in found} == {"terraform -chdir=infra apply"}


def test_a_dead_letter_is_shown_with_its_reason(servers: Servers) -> None:
    assert worst(wiring.dead_letters(PROJECT)) is Health.OK
    with publisher_at(servers.pubsub.address) as publisher:
        letter = {"data": b"{}", "attributes": {"function": "notify", "reason": "it is nonsense"}}
        publisher.publish(topic=f"projects/{PROJECT}/topics/dead-letters", messages=[letter])
    (found,) = wiring.dead_letters(PROJECT)
    assert found.health is Health.ODD
    assert found.sentence.endswith("from notify: it is nonsense")


def test_a_heartbeat_is_counted_and_missed(servers: Servers) -> None:
    assert worst(pulse.heartbeat(PROJECT, servers.now)) is Health.BROKEN
    for _ in range(3):
        servers.monitoring.sink.add(pulse.TICKS, {}, RUN, 1)
        servers.advance(minutes=1)
    servers.advance(minutes=3)
    (found,) = pulse.heartbeat(PROJECT, servers.now)
    assert (found.health, found.sentence) == (Health.OK, "3 ticks in the last 10 minutes")
    (later,) = pulse.heartbeat(PROJECT, servers.now + timedelta(minutes=20))
    assert later.health is Health.BROKEN


def test_targets_are_read_and_a_store_without_policies_is_odd(servers: Servers) -> None:
    assert worst(pulse.targets(servers.world, servers.world.store)) is Health.ODD
    servers.world.store.put_policy(policy(), "ml@example.com", servers.now)
    (found,) = pulse.targets(servers.world, servers.world.store)
    assert (found.health, found.sentence) == (Health.OK, "0 endpoints in 1 regions can be read")


def test_apis_that_are_off_are_named_with_the_command() -> None:
    services = [{"name": f"projects/1/services/{name}", "state": "ENABLED"} for name in google.NEEDED[1:]]
    with answering({f"/v1/projects/{PROJECT}/services:batchGet": {"services": services}}) as address:
        (found,) = google.apis(asked(address), PROJECT)
    assert found.health is Health.BROKEN
    assert found.remedy == "gcloud services enable aiplatform.googleapis.com"


def roles_of(table: list[Deployed]) -> dict[str, Any]:
    names = {row.name: f"projects/{PROJECT}/roles/{row.role}" for row in table if row.permissions}
    answers: dict[str, Any] = {
        f"/v1/{names[row.name]}": {"includedPermissions": list(row.permissions)} for row in table if row.permissions
    }
    bindings = [
        {"role": names[row.name], "members": [f"serviceAccount:vr-{row.service}@{PROJECT}.iam.gserviceaccount.com"]}
        for row in table
        if row.permissions
    ]
    return answers | {f"/v3/projects/{PROJECT}:getIamPolicy": {"bindings": bindings}}


def test_roles_that_are_as_the_table_says_are_well() -> None:
    with answering(roles_of(TABLE)) as address:
        found = list(google.roles(asked(address), PROJECT, TABLE))
    assert worst(found) is Health.OK, said(found)


def test_a_role_that_lacks_a_permission_has_one_too_many_or_is_not_bound_is_named() -> None:
    answers = roles_of(TABLE)
    answers[f"/v1/projects/{PROJECT}/roles/vertexRolloutsRollBack"] = {
        "includedPermissions": ["aiplatform.endpoints.get", "aiplatform.endpoints.deploy"]
    }
    del answers[f"/v1/projects/{PROJECT}/roles/vertexRolloutsStartRollout"]
    answers[f"/v3/projects/{PROJECT}:getIamPolicy"]["bindings"].pop(0)
    with answering(answers) as address:
        sentences = [one.sentence for one in google.roles(asked(address), PROJECT, TABLE)]
    assert sentences == [
        "the role of register_model is bound to no account of its own",
        "start_rollout has no role (vertexRolloutsStartRollout)",
        "roll_back may not aiplatform.endpoints.update",
        "roll_back may aiplatform.endpoints.deploy, which it does not need",
    ]


def test_what_google_refuses_is_unknown_and_stops_no_other_check() -> None:
    def refused() -> list[Finding]:
        raise PermanentError("iam answered 403 to v1/x: no")

    (found,) = examined("roles", refused)
    assert (found.health, found.sentence) == (Health.UNKNOWN, "iam answered 403 to v1/x: no")


@pytest.mark.parametrize(("off", "health"), [(2, Health.OK), (90, Health.BROKEN)])
def test_a_clock_that_is_off_is_noticed(off: int, health: Health) -> None:
    now = datetime(2026, 11, 26, 8, 0, 0, tzinfo=UTC)
    with answering({"/": {"ok": True}}, {"Date": "Thu, 26 Nov 2026 08:00:00 GMT"}) as address:
        (found,) = here.clock(now + timedelta(seconds=off), f"{address}/")
    assert found.health is health


def test_old_prices_are_odd() -> None:
    assert worst(pulse.prices(date(2026, 12, 1), date(2026, 11, 26))) is Health.OK
    assert worst(pulse.prices(date(2027, 12, 1), date(2026, 11, 26))) is Health.ODD


def test_settings_that_lead_elsewhere_are_broken() -> None:
    assert worst(here.settings({})) is Health.BROKEN
    assert worst(here.settings({"GOOGLE_CLOUD_PROJECT": "p"})) is Health.BROKEN
    assert worst(here.settings({"GOOGLE_CLOUD_PROJECT": "p", "STORE": "firestore"})) is Health.OK


def test_the_command_says_it_all_for_people_and_for_programs(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer import Exit

    with pytest.raises(Exit) as ended:
        doctor(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (ended.value.exit_code, told["health"]) == (1, "broken")  # no tick was counted
    assert {one["check"] for one in told["findings"]} == {
        "settings", "clock", "apis", "roles", "subscriptions", "dead letters", "heartbeat", "targets", "prices",
    }  # fmt: skip
    with pytest.raises(Exit) as well:
        doctor(only=["subscriptions", "prices"])
    assert well.value.exit_code == 0
    assert (
        f"ok      subscriptions: {sum(row.is_pushed for row in TABLE)} wake their functions" in capsys.readouterr().out
    )
