"""Functions are replaced by the next version and put back in the middle of a canary: records of both are read, and the rollout ends as it would have.

The next version is played by rewriting everything in the store as it might write it: another schema number, and keys that nobody knows yet.
The version before is played by records without what has a default.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

import pytest

from shared import topics
from shared.rollout.record import SCHEMA, LedgerEntry, Phase, Rollout
from shared.store.documents import Replace, Stored
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import policy
from tests.functional.functions.test_boundary import lines

COLLECTIONS = ("rollouts", "ledger", "notices", "policies", "policy_heads", "evidence_pages", "claims", "slots")
NEW = {"of_the_next_version": {"limit": 3, "names": ["a"]}}
NESTED = ("operation", "shift", "hold", "stop")
Rewrite = Callable[[str, dict[str, Any]], dict[str, Any]]


def later(collection: str, body: dict[str, Any]) -> dict[str, Any]:
    """As the next version may write it."""
    body = body | NEW | ({"schema": SCHEMA + 1} if "schema" in body else {})
    for key in NESTED:
        if isinstance(body.get(key), dict):
            body[key] = body[key] | NEW
    if "checks" in body:
        body["checks"] = [check | NEW for check in body["checks"]]
    if collection == "evidence_pages":
        body["rollouts"] = {k: json.dumps(json.loads(text) | NEW) for k, text in body["rollouts"].items()}
    if collection.startswith("polic"):
        found = body["policy"] | NEW
        found["rollout"] = found["rollout"] | NEW
        found["rollout"]["stages"] = [stage | NEW for stage in found["rollout"]["stages"]]
        found["targets"] = [target | NEW for target in found["targets"]]
        found["machine"] = found["machine"] | NEW
        body["policy"] = found
    return body


def earlier(collection: str, body: dict[str, Any]) -> dict[str, Any]:
    """As the version before may have written it: without the keys whose value is the default, and without what is not ours."""
    kept = {k: v for k, v in body.items() if k not in NEW}
    kind = {"rollouts": Rollout, "ledger": LedgerEntry}.get(collection)
    for field in fields(kind) if kind else ():
        default = field.default if field.default is not MISSING else None
        if field.name in kept and field.name not in ("id", "at") and kept[field.name] in (default, [], {}):
            del kept[field.name]
    kept.pop("schema", None)
    return kept


def rewrite(cloud: Cloud, how: Rewrite) -> int:
    """Everything in the store; how many documents."""
    documents = cloud.world.store._documents
    found: list[tuple[str, Stored]] = [(name, one) for name in COLLECTIONS for one in documents.query(name)]
    for name, one in found:
        documents.commit([Replace(name, one.id, how(name, json.loads(json.dumps(one.body))), one.revision)])
    return len(found)


def plain(cloud: Cloud) -> tuple[Any, ...]:
    """How it ended."""
    rollout = cloud.rollout("2")
    told = [(e.decision, e.sentence, e.phase, e.stage) for e in cloud.ledger("2")]
    return rollout.phase, rollout.stage, cloud.split(), cloud.aliases(), told


def story(cloud: Cloud, at_each_step: Callable[[], object]) -> tuple[Any, ...]:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    for _ in range(9):
        at_each_step()
        cloud.minutes(5)
    return plain(cloud)


def test_records_of_the_next_version_and_of_the_one_before_change_nothing(
    apps: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[tuple[Any, ...]] = []
    rewritten = iter([None, later, earlier])
    for how in rewritten:
        folder = tmp_path / str(len(ends))
        folder.mkdir()
        cloud = Cloud(apps, folder)
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        cloud.open()

        def step(cloud: Cloud = cloud, how: Rewrite | None = how) -> None:
            if how:
                assert rewrite(cloud, how) > 10

        ends.append(story(cloud, step))
        assert cloud.dead_letters() == []
        cloud.close()
    assert ends[0][0] in (Phase.WATCHING, Phase.PROMOTED)
    assert ends[1] == ends[0]
    assert ends[2] == ends[0]


def test_a_rollback_does_not_care_what_the_records_are(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.advance(minutes=5)
    rewrite(cloud, later)
    assert cloud.wake("roll_back", cloud.alarm()) == 200
    assert cloud.split() == {"1": 100}
    rewrite(cloud, earlier)
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK


def test_one_record_that_cannot_be_read_stops_no_other_and_waits_for_the_upgrade(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    targets = [{"region": "us-central1", "endpoint": "fraud-serving"}]
    cloud.apply(policy(model="fraud", targets=targets))
    cloud.deploy("run-2")
    rollout = cloud.rollout("2").id

    def unheard_of(name: str, body: dict[str, Any]) -> dict[str, Any]:
        return body | {"phase": "teleporting", "schema": SCHEMA + 1} if body.get("id") == rollout else body

    def as_before(name: str, body: dict[str, Any]) -> dict[str, Any]:
        return body | {"phase": "canary", "schema": SCHEMA} if body.get("id") == rollout else body

    rewrite(cloud, unheard_of)
    capsys.readouterr()
    cloud.register("run-1", model="fraud")
    cloud.settle()
    cloud.minutes(13, requests=0)
    assert cloud.split("fraud-serving") == {"1": 100}
    said = f"left alone: rollout {rollout} cannot be read by this version (phase); it waits for the upgrade"
    assert said in [line["message"] for line in lines(capsys, "ERROR")]
    assert cloud.wake("advance_rollout", {"schema": "rollout-due/v1", "rollout": rollout}) == 500
    assert cloud.dead_letters() == []
    rewrite(cloud, as_before)
    cloud.minutes(20)
    assert cloud.split()["2"] > 10


def test_a_message_of_the_next_version_is_kept_and_redriven_after_the_upgrade(cloud: Cloud) -> None:
    assert cloud.wake("roll_back", cloud.alarm() | {"schema": "alert/v2"}) == 200
    (kept,) = cloud.dead_letters()
    assert json.loads(kept.data)["schema"] == "alert/v2"
    assert kept.attributes["topic"].endswith(topics.ALERT_FIRED)


def test_keys_of_a_policy_that_are_not_known_are_left_out_and_said_once(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.apply(policy(model="upgraded"))
    rewrite(cloud, later)
    capsys.readouterr()
    for _ in range(3):
        stored = cloud.world.store.policy("upgraded")
        assert stored is not None
        assert stored.policy == policy(model="upgraded")
    (line,) = lines(capsys, "WARNING")
    assert line["message"].startswith(
        "version 1 of the policy of upgraded has keys that this version does not know and leaves out: machine.of_the"
    )
