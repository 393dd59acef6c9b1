"""Finding versions without asking the registry for each, and where a deployed model came from."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from local.identity import Issuer
from rollouts_cli.main import app
from shared.actions.indexing import reindex
from shared.errors import TransientError
from shared.rollout.index import IndexedVersion
from shared.store.documents import Create
from shared.store.records import version_body
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, judged, policy


def ask(*arguments: str) -> dict[str, Any]:
    """What ``rollouts ARGUMENT... --json`` says."""
    ran = CliRunner().invoke(app, [*arguments, "--json"])
    assert ran.exit_code == 0, ran.output
    return dict(json.loads(ran.stdout))


def found(*arguments: str) -> list[str]:
    return [f"{row['model']}@{row['version']}" for row in ask("models", *arguments)["versions"]]


def test_versions_are_found_by_metric_label_alias_and_lineage_and_traced_to_their_data(
    cloud: Cloud, signed: Issuer
) -> None:
    cloud.apply(
        judged(register={"from": {"message": True}, "container": {"image": "sim/churn:1"}, "labels": {"team": "a"}})
    )
    cloud.deploy("run-1", dataset="bq://p.d.customers_v3", code_revision="abc123")
    cloud.deploy("run-2", metrics={"auc": 0.95}, dataset="bq://p.d.customers_v4", code_revision="def456")
    with cloud.cost() as calls:
        assert found("--where", "auc>=0.9 and team=a", "--sort", "-auc") == [f"{MODEL}@2", f"{MODEL}@1"]
        assert found("--where", "dataset=bq://p.d.customers_v3 or auc>0.99") == [f"{MODEL}@1"]
        assert found("--where", "alias=candidate and not alias=champion") == [f"{MODEL}@2"]
        assert found("--where", "metric.auc<0.5") == []
    assert not calls, "the index is in the store"
    deployed = cloud.rollout("2").deployed_id
    printed = CliRunner().invoke(app, ["lineage", deployed]).stdout
    assert printed.splitlines()[0] == "endpoint local-project/us-central1/churn-serving  share=10 %"
    assert [line.strip("│├└─ ").split("  ")[0] for line in printed.splitlines()[1:]] == [
        f"deployed model {deployed}",
        "version churn@2",
        f"evaluation {ask('lineage', deployed)['sources'][0]['sources'][0]['sources'][0]['name']}",
        "training run run-2",
        "artifact gs://models/run-2",
        "code def456",
        "dataset bq://p.d.customers_v4",
    ]
    assert "auc=0.95" in printed


def test_a_rollback_is_seen_in_the_next_answer(cloud: Cloud, signed: Issuer) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.tell("promote", "2")
    cloud.tell("promote", "2")
    assert found("--where", "alias=champion") == [f"{MODEL}@2"]
    cloud.minutes(6, errors={"2": 0.3})
    assert cloud.split() == {"1": 100}
    assert found("--where", "alias=champion") == [f"{MODEL}@1"]
    assert found("--where", "alias=default") == [f"{MODEL}@1"]


def test_a_registration_that_dies_half_way_is_found_once_it_is_whole(cloud: Cloud) -> None:
    """GIVEN an upload WHEN the process dies before its evaluation is imported THEN the next delivery completes version and index, once."""
    cloud.apply(policy())
    message = cloud.train("run-1", dataset="bq://p.d.customers_v3")
    assert cloud.wake("register_model", message) == 500  # the upload has begun, and is looked at again
    cloud.advance(seconds=61)
    cloud.emulator.faults.fail("ImportModelEvaluation")
    assert cloud.wake("register_model", message) == 500
    assert found("--where", "run=message-run-1") == [], "half a version is nobody's answer"
    cloud.open()  # another process: nothing is remembered but what is stored
    assert [cloud.wake("register_model", message) for _ in range(2)] == [200, 200]
    assert found("--where", "run=message-run-1 and auc>=0.9 and dataset=bq://p.d.customers_v3") == [f"{MODEL}@1"]
    assert sorted(cloud.versions()) == ["1"]


def test_reindexing_that_dies_half_way_is_begun_again_and_misses_nothing(cloud: Cloud) -> None:
    """GIVEN versions older than the index WHEN reindexing dies in the middle THEN the second run has them all, within its pace."""
    for number in range(4):
        cloud.upload(new=number == 0, labels={"dataset": f"v{number}"})
    cloud.apply(policy())
    assert ask("models")["indexed"] == 0
    places, pauses = [("local-project", "us-central1")], 0

    def die() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 5:
            raise TransientError("the terminal was closed")

    with pytest.raises(TransientError):
        reindex(cloud.world, places, die, lambda model, done: None)
    assert ask("models")["indexed"] == 2
    with cloud.cost() as calls:
        assert found("--reindex", "--per-minute", "60000", "--where", "dataset>=v2") == [f"{MODEL}@3", f"{MODEL}@4"]
    assert sum(calls.values()) == 1 + 1 + 4, "one list of models, one of versions, the evaluations of each"


def test_what_somebody_else_uploads_is_in_the_index_too(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.upload(new=True, labels={"team": "b"})
    cloud.settle()
    assert found("--where", "team=b") == [f"{MODEL}@1"]


def test_thousands_of_versions_are_one_question(cloud: Cloud) -> None:
    writes = []
    for number in range(1, 3001):
        at = cloud.now - timedelta(hours=number)
        metrics = {"auc": number / 3000}
        entry = IndexedVersion("p", "us-central1", f"m{number % 50}", str(number), at, {"team": "a"}, metrics)
        writes.append(Create("versions", entry.id, version_body(entry)))
    cloud.world.store._documents.commit(writes)
    answer = ask("models", "--where", "auc>0.9 and team=a", "--sort", "-auc", "--limit", "3")
    assert (answer["found"], answer["indexed"]) == (300, 3000)
    assert [row["version"] for row in answer["versions"]] == ["3000", "2999", "2998"]


@pytest.mark.parametrize("text", ["auc>=", "auc 0.9", "and auc=1", "(auc=1", "auc=1)", "=1", "a=1 b=2"])
def test_a_question_that_cannot_be_read_names_the_place(cloud: Cloud, text: str) -> None:
    ran = CliRunner().invoke(app, ["models", "--where", text, "--json"])
    assert ran.exit_code == 1
    assert "is not understood at" in json.loads(ran.stdout)["error"]
