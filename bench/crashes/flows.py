"""The flows, each a small declaration: what was before, what happens, and when it is over.

A new flow is one more ``Flow`` in ``FLOWS``; its calls are found by playing it once without a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.crashes.plant import ENDPOINT, LISTENERS, MODEL, Plant, policy
from local.stepped import NUMBER, PARENT, REGION
from shared import topics
from shared.rollout.record import Phase
from shared.wiring import world

Act = Callable[[Plant], object]
JOBS = ("assess_rollouts", "retire_models", "find_training_runs")
ALL = frozenset((*LISTENERS, *JOBS))


@dataclass(frozen=True)
class Flow:
    """One flow."""

    name: str
    given: str
    """The state that it begins with, of ``STATES``."""
    when: tuple[Act, ...]
    """What happens; each call that follows can go wrong."""
    until: Callable[[Plant], bool]
    """Whether it is over."""
    functions: frozenset[str] = ALL
    """Which functions are there."""
    step: int = 2
    """Minutes between two ticks."""


@dataclass(frozen=True)
class Before:
    """A state that a flow begins with, reached without a fault from another."""

    given: str
    when: tuple[Act, ...]
    until: Callable[[Plant], bool] = field(default=lambda plant: True)
    functions: frozenset[str] = ALL


def apply(replicas: int = 1, **rollout: Any) -> Act:
    """What ``rollouts apply`` does."""
    return lambda plant: world().store.put_policy(policy(replicas, **rollout), "ml@example.com", plant.now)


def train(run: str) -> Act:
    """A training run is over, and says so."""
    document = {
        "schema": "training-completed/v1",
        "model": MODEL,
        "run_id": run,
        "artifact_uri": f"gs://models/{run}",
        "metrics": {"auc": 0.9},
        "dataset": "v3",
    }
    return lambda plant: plant.announce(topics.TRAINING_COMPLETED, document)


def train_silently(run: str) -> Act:
    """A CustomJob ends and announces nothing."""

    def act(plant: Plant) -> None:
        from google.cloud.aiplatform_v1.services.job_service.client import JobServiceClient
        from google.cloud.aiplatform_v1.services.job_service.transports.grpc import JobServiceGrpcTransport

        client = JobServiceClient(transport=JobServiceGrpcTransport(channel=plant._channel))
        spec = {
            "worker_pool_specs": [
                {
                    "machine_spec": {"machine_type": "n1-standard-4"},
                    "replica_count": 1,
                    "container_spec": {"image_uri": "example/train:1"},
                }
            ],
            "base_output_directory": {"output_uri_prefix": f"gs://models/{run}"},
        }
        job = {"display_name": "churn-train", "job_spec": spec, "labels": {"emulator-seconds": "60"}}
        client.create_custom_job(parent=PARENT, custom_job=job)
        plant.pass_minutes(4, jobs=False)

    return act


def command(name: str, version: str = "", **more: Any) -> Act:
    """A person says what is to be done."""

    def act(plant: Plant) -> None:
        found = plant.rollout(version) if version else None
        what = {"rollout": found.id} if found else {"model": MODEL}
        plant.ask("receive_command", {"command": name, **what, **more})

    return act


def incident(version: str) -> Act:
    """Cloud Monitoring opens an incident on a version, and brings it by webhook."""

    def act(plant: Plant) -> None:
        labels = {"resource_container": NUMBER, "location": REGION, "endpoint_id": ENDPOINT}
        opened = {
            "incident_id": "0.incident",
            "state": "open",
            "started_at": int(plant.now.timestamp()),
            "summary": "5xx above 1 %",
            "policy_name": "errors",
            "resource": {"type": "aiplatform.googleapis.com/Endpoint", "labels": labels},
            "metric": {
                "type": "aiplatform.googleapis.com/prediction/online/response_count",
                "labels": {"deployed_model_id": plant.deployed_id(version)},
            },
        }
        plant.ask("receive_alert", {"version": "1.2", "incident": opened})

    return act


def later(minutes: int) -> Act:
    """Time passes, and no function is woken."""
    return lambda plant: plant.pass_minutes(minutes, step=minutes, jobs=False)


def wait(minutes: int, step: int = 2) -> Act:
    """Time passes, with ticks."""
    return lambda plant: plant.pass_minutes(minutes, step)


def fails(version: str) -> Act:
    """From now on a third of what a version answers is an error."""
    return lambda plant: plant.errors.update({version: 0.3})


def live(plant: Plant) -> None:
    """An endpoint with a model that lived before us."""
    model = {"display_name": MODEL, "container_spec": {"image_uri": "sim/churn:1"}}
    plant.models.upload_model({"parent": PARENT, "model": model, "model_id": MODEL})
    plant.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "old"}, endpoint_id=ENDPOINT)
    plant.advance(minutes=2)
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1, "max_replica_count": 1}
    plant.endpoints.deploy_model(
        endpoint=f"{PARENT}/endpoints/{ENDPOINT}",
        deployed_model={"model": f"{PARENT}/models/{MODEL}@1", "dedicated_resources": resources},
        traffic_split={"0": 100},
    )
    plant.advance(minutes=10)
    for topic in topics.ALL:
        plant.published(topic)


def has(version: str, share: int, phase: Phase) -> Callable[[Plant], bool]:
    """Whether a version has so much of the traffic, and its record says so."""
    return lambda plant: plant.phase(version) is phase and plant.share(version) == share


def is_only(version: str, phase: Phase, ended: str = "", replicas: int = 1) -> Callable[[Plant], bool]:
    """Whether nothing but this version is deployed any more, with the usual replicas; and the other one's rollout has ended."""

    def check(plant: Plant) -> bool:
        found = plant.endpoint()
        return (
            plant.phase(version) is phase
            and found is not None
            and [(d.version, d.min_replicas) for d in found.deployed] == [(version, replicas)]
            and (not ended or not getattr(plant.phase(ended), "is_open", True))
        )

    return check


def _claimed(plant: Plant) -> bool:
    return any("done" in str(s.body.get("state")) for s in world().store._documents.query("claims"))


STATES: dict[str, Before] = {
    "empty": Before("", (apply(2),)),
    "registered": Before("empty", (train("run-1"), wait(4, 1)), functions=frozenset({"register_model"})),
    "queued": Before("registered", (Plant.settle,), functions=frozenset({"start_rollout", "notify"})),
    "serving": Before("queued", (wait(60), apply(1)), has("1", 100, Phase.PROMOTED)),
    "second queued": Before(
        "serving",
        (train("run-2"), wait(4, 1)),
        lambda plant: plant.phase("2") is Phase.QUEUED,
        frozenset({"register_model", "start_rollout", "notify"}),
    ),
    "deploying": Before("second queued", (wait(1, 1),), lambda plant: plant.phase("2") is Phase.DEPLOYING),
    "on trial": Before("deploying", (wait(6, 1),), has("2", 10, Phase.CANARY)),
    "deploying and held": Before("deploying", (command("pause", "2"),), lambda plant: plant.is_held("2")),
    "on trial and held": Before("on trial", (command("pause", "2"),), lambda plant: plant.is_held("2")),
    "half": Before("on trial", (wait(16),), has("2", 50, Phase.CANARY)),
    "watching": Before("half", (wait(16),), has("2", 100, Phase.WATCHING)),
    "promoted": Before("watching", (wait(44),), has("2", 100, Phase.PROMOTED), ALL - {"retire_models"}),
    "lived before us": Before("", (live, apply(1))),
}
"""By name; a state is made once and put back for each run that begins with it."""

FLOWS: tuple[Flow, ...] = (
    Flow("register", "empty", (train("run-1"),), _claimed, frozenset({"register_model"}), step=1),
    Flow(
        "find and register",
        "empty",
        (train_silently("run-1"),),
        _claimed,
        frozenset({"register_model", "find_training_runs"}),
        step=1,
    ),
    Flow(
        "start",
        "registered",
        (Plant.settle,),
        lambda plant: plant.rollout("1") is not None,
        frozenset({"start_rollout", "assess_rollouts", "notify"}),
    ),
    Flow("deploy the first", "queued", (Plant.tick,), has("1", 100, Phase.WATCHING)),
    Flow("deploy", "second queued", (Plant.tick,), has("2", 10, Phase.CANARY)),
    Flow("advance", "on trial", (later(12),), has("2", 50, Phase.CANARY)),
    Flow("promote", "half", (later(12),), has("2", 100, Phase.WATCHING)),
    Flow("end the watch", "watching", (later(42),), has("2", 100, Phase.PROMOTED), ALL - {"retire_models"}),
    Flow("retire", "promoted", (later(5),), is_only("2", Phase.PROMOTED)),
    Flow("roll back by evidence", "on trial", (fails("2"), later(3)), is_only("1", Phase.PROMOTED, "2", replicas=2)),
    Flow("roll back by incident", "half", (incident("2"),), has("1", 100, Phase.PROMOTED)),
    Flow("roll back in the watch", "watching", (incident("2"),), has("1", 100, Phase.PROMOTED)),
    Flow("roll back by a person", "on trial", (command("abort", "2"),), has("1", 100, Phase.PROMOTED)),
    Flow("promote by a person", "on trial", (command("promote", "2", traffic=50),), has("2", 50, Phase.CANARY)),
    Flow("pause", "on trial", (command("pause", "2"),), lambda plant: plant.is_held("2")),
    # Held, so that it does not advance before the newer one comes, however late that is.
    Flow("supersede", "on trial and held", (train("run-3"),), has("3", 10, Phase.CANARY), ALL - {"retire_models"}),
    Flow(
        # Its deployment ends after it was aborted: what then appears is nobody's, and is undeployed.
        "abort while it is deployed",
        "deploying",
        (command("abort", "2"), wait(12)),
        is_only("1", Phase.PROMOTED, "2", replicas=2),
    ),
    Flow(
        # Held, so that it gets no share before the newer one comes, however late that is.
        "supersede while it is deployed",
        "deploying and held",
        (train("run-3"),),
        has("3", 10, Phase.CANARY),
        ALL - {"retire_models"},
    ),
    Flow("adopt", "lived before us", (command("adopt"),), lambda plant: plant.phase("1") is Phase.PROMOTED),
)


def flow(name: str) -> Flow:
    """A flow by its name."""
    return next(f for f in FLOWS if f.name == name)
