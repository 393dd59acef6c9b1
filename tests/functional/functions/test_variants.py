"""One training run, two models: a large one on an endpoint, a light one in a bucket for devices, through the real functions."""

from __future__ import annotations

import json
from typing import Any

from local.storage import StorageError, crc32c
from shared.policy.schema import Policy
from shared.rollout.record import Phase, Rollout
from shared.store.store import StoredRollout
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL, policy

EDGE, BUCKET = "churn-edge", "edge-models"
CURRENT = f"{EDGE}/current.json"


def edge(**changes: Any) -> Policy:
    register = {
        "from": {"message": True},
        "variant_of": MODEL,
        "artifact": "light",
        "container": {"image": "sim/churn:light"},
    }
    return policy(
        model=EDGE,
        targets=[{"region": "us-central1", "endpoint": EDGE, "bucket": BUCKET}],
        register=register,
        **{"rollout": {"stages": [{"traffic": 100}]}, **changes},
    )


def artifact(cloud: Cloud, run: str) -> str:
    """The files of the light model; where they are."""
    for name in ("model.tflite", "labels/en.txt"):
        cloud.storage.insert("models", f"{run}/light/{name}", f"{run} {name}".encode(), {}, None)
    return f"gs://models/{run}/light"


def train(cloud: Cloud, run: str, **light: Any) -> dict[str, Any]:
    return cloud.train(run, variants={"light": {"artifact_uri": artifact(cloud, run), **light}})


def deliver(cloud: Cloud, run: str, **light: Any) -> None:
    """From the message to both rollouts' ends, or their watches."""
    message = train(cloud, run, **light)
    cloud.wake("register_model", message)
    for minutes in (2, 0, 0, 1, 1, 1, 10, 1, 1):
        cloud.advance(minutes=minutes)
        if cloud.wake("register_model", message) == 200:
            cloud.settle()
        cloud.tick("assess_rollouts")
        cloud.settle()


def current(cloud: Cloud) -> dict[str, Any]:
    return dict(json.loads(cloud.storage.text(BUCKET, CURRENT)))


def whole(cloud: Cloud) -> str:
    """The version that a device gets: each file is there, with the checksum that the manifest has of it."""
    told = current(cloud)
    manifest = json.loads(cloud.storage.text(BUCKET, told["manifest"].removeprefix(f"gs://{BUCKET}/")))
    assert manifest["version"] == told["version"]
    base = manifest["base"].removeprefix(f"gs://{BUCKET}/")
    for file in manifest["files"]:
        content = cloud.storage.content(BUCKET, base + file["name"])
        about = cloud.storage.get(BUCKET, base + file["name"])
        assert (len(content), about["crc32c"]) == (file["size"], file["crc32c"])
        assert crc32c(content) is not None
    assert sorted(file["name"] for file in manifest["files"]) == ["labels/en.txt", "model.tflite"]
    return str(told["version"])


def light(cloud: Cloud, version: str) -> Rollout:
    return cloud.rollout(version, EDGE)


def test_one_run_becomes_two_versions_of_which_one_is_served_and_one_is_followed_by_devices(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.apply(edge())
    deliver(cloud, "run-1", metrics={"auc": 0.8})
    assert cloud.split() == {"1": 100}
    assert whole(cloud) == "1"
    server, device = cloud.versions()["1"], cloud.versions(EDGE)["1"]
    assert server.artifact_uri == "gs://models/run-1"
    assert device.artifact_uri == "gs://models/run-1/light"
    assert device.labels["vr-run"] == server.labels["vr-run"], "linked by their run"
    assert device.labels["vr-variant-of"] == MODEL
    assert light(cloud, "1").phase is Phase.WATCHING, light(cloud, "1").sentence
    assert any(e.sentence.startswith(f"Exporting v1, the first to gs://{BUCKET}/{EDGE}") for e in ledger(cloud, "1"))
    deliver(cloud, "run-2")
    assert whole(cloud) == "2"
    for _ in range(13):
        cloud.advance(minutes=10)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert light(cloud, "2").phase is Phase.PROMOTED, light(cloud, "2").sentence
    cloud.tick("retire_models")
    names = cloud.storage.names(BUCKET)
    assert names, "what devices follow stays"
    assert not [name for name in names if "/v1/" in name], "what nobody follows any more is deleted"
    assert whole(cloud) == "2"
    assert cloud.aliases(EDGE)["champion"] == "2"


def ledger(cloud: Cloud, version: str) -> list[Any]:
    return cloud.world.store.ledger(rollout=light(cloud, version).id)


def test_a_variant_that_its_gate_refuses_leaves_the_other_one_alone(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.apply(edge(gate={"metrics": [{"name": "auc", "at_least": 0.7}]}))
    deliver(cloud, "run-1", metrics={"auc": 0.5})
    assert cloud.split() == {"1": 100}
    assert light(cloud, "1").phase is Phase.REJECTED
    assert not cloud.storage.names(BUCKET), "nothing is exported before the gate"


def test_an_alert_in_the_watch_moves_the_pointer_back(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.apply(edge())
    deliver(cloud, "run-1")
    deliver(cloud, "run-2")
    assert whole(cloud) == "2"
    cloud.advance(minutes=5)
    cloud.storage.written.clear()
    with cloud.cost() as calls:
        assert cloud.wake("roll_back", cloud.alarm(endpoint=f"gs:{BUCKET}:{EDGE}")) == 200
    assert cloud.storage.written == [("insert", f"{BUCKET}/{CURRENT}")]
    assert calls["UpdateEndpoint"] == 0
    assert whole(cloud) == "1"
    assert current(cloud)["before"] == "2"
    assert light(cloud, "2").phase is Phase.ROLLED_BACK
    assert cloud.rollout("2").phase is not Phase.ROLLED_BACK, "the other variant goes its own way"


def test_an_export_that_is_interrupted_is_taken_up_again_and_never_followed_by_halves(cloud: Cloud) -> None:
    cloud.apply(policy())
    cloud.apply(edge())
    deliver(cloud, "run-1")
    seen: list[str] = []

    def fail(method: str, name: str) -> None:
        """Each kind of write fails once: the first copy, the manifest, the pointer."""
        kind = "copy" if method == "rewrite" else "manifest" if "/manifests/" in name else "pointer"
        if method in ("rewrite", "insert") and name.startswith(f"{EDGE}/") and kind not in seen:
            seen.append(kind)
            raise StorageError(503, "Backend Error")
        if cloud.storage.names(BUCKET, CURRENT):
            whole(cloud)

    cloud.storage.after = fail
    deliver(cloud, "run-2")
    for _ in range(5):
        cloud.advance(minutes=30)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert sorted(seen) == ["copy", "manifest", "pointer"]
    assert whole(cloud) == "2", light(cloud, "2").sentence


def test_an_artifact_without_files_is_refused_with_the_reason(cloud: Cloud) -> None:
    cloud.apply(edge())
    message = cloud.train("run-1", variants={"light": {"artifact_uri": "gs://models/nothing"}})
    cloud.wake("register_model", message)
    cloud.advance(minutes=2)
    cloud.wake("register_model", message)
    cloud.settle()
    stored: StoredRollout | None = cloud.world.store.get_rollout(light(cloud, "1").id)
    assert stored is not None
    assert stored.rollout.phase is Phase.FAILED
    assert "no files to export: there are none in gs://models/nothing" in stored.rollout.sentence


def pairs(cloud: Cloud, **gate: Any) -> None:
    cloud.apply(policy(rollout={"together": [EDGE], "stages": [{"traffic": 10, "bake": "5m"}, {"traffic": 100}]}))
    cloud.apply(edge(rollout={"together": [MODEL], "stages": [{"traffic": 100}]}, **gate))


def minutes(cloud: Cloud, number: int) -> None:
    for _ in range(number):
        cloud.advance(minutes=1)
        cloud.tick("assess_rollouts")
        cloud.settle()


def test_variants_that_are_promoted_together_wait_for_each_other(cloud: Cloud) -> None:
    pairs(cloud)
    deliver(cloud, "run-1")
    minutes(cloud, 3)
    assert (cloud.split(), whole(cloud)) == ({"1": 100}, "1")
    said = [e.sentence for e in ledger(cloud, "1")]
    assert f"v1 is ready for 100 % and waits for {MODEL} v1 of the same run" in said
    deliver(cloud, "run-2")
    assert cloud.split() == {"1": 90, "2": 10}
    assert whole(cloud) == "1", "it waits for the canary"
    minutes(cloud, 8)
    assert (cloud.split(), whole(cloud)) == ({"2": 100}, "2")


def test_a_variant_that_is_refused_keeps_the_other_one_from_its_promotion(cloud: Cloud) -> None:
    pairs(cloud)
    deliver(cloud, "run-1")
    minutes(cloud, 3)
    pairs(cloud, gate={"metrics": [{"name": "auc", "at_least": 0.7}]})
    deliver(cloud, "run-2", metrics={"auc": 0.5})
    minutes(cloud, 5)
    assert light(cloud, "2").phase is Phase.REJECTED
    assert cloud.split() == {"1": 100}
    assert not cloud.rollout("2").phase.is_open
    assert f"{EDGE} v2 of the same run was rejected" in cloud.rollout("2").sentence


def test_what_one_variant_loses_in_its_watch_the_other_one_gives_back(cloud: Cloud) -> None:
    pairs(cloud)
    for run in ("run-1", "run-2"):
        deliver(cloud, run)
        minutes(cloud, 9)
    assert (cloud.split(), whole(cloud)) == ({"2": 100}, "2")
    assert cloud.wake("roll_back", cloud.alarm(endpoint=f"gs:{BUCKET}:{EDGE}")) == 200
    minutes(cloud, 3)
    assert (cloud.split(), whole(cloud)) == ({"1": 100}, "1")
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    assert f"{EDGE} v2 of the same run was rolled back" in cloud.rollout("2").sentence
