"""Each zip as the cloud has it: unpacked in a folder that cannot be written, without this repository and without a home.

The functions are served by the Functions Framework's production server and talk to local servers through the real clients.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.events import Event, event_for, push, tick
from bench.served import INTERPRETER, Served, alone
from bench.subjects import prepare
from bench.trial import PROJECT, TrialCloud
from infra.package import ROOT, functions
from local.pubsub.clients import subscriber_at
from local.pubsub.wiring import DEAD_LETTERS
from shared import topics
from tests.infra.isolated import blind, link_pinned

pytestmark = pytest.mark.slow

MOST_MEMORY = 512
"""MiB of server and worker together, which is what a function is given."""
OVER_HTTPS = ("receive_alert", "receive_command", "status_page")
BY_SCHEDULE = ("assess_rollouts", "audit_costs", "find_training_runs", "replay_requests", "retire_models")

PROBE = """
import json, sys
import functions_framework

name, event = sys.argv[1], json.load(sys.stdin)
client = functions_framework.create_app(name, "main.py").test_client()
headers = {"Content-Type": "application/json", **event["headers"]}
answer = client.open(event["path"], method=event["method"], data=event["body"], headers=headers)
files = {module: getattr(sys.modules[module], "__file__", None) for module in list(sys.modules)}
print()
print(json.dumps({"status": answer.status_code, "files": files}))
"""


@dataclass(frozen=True)
class Deployed:
    """The unpacked zips, and the cloud that they find."""

    cloud: TrialCloud
    folders: dict[str, Path]
    home: Path
    packages: Path
    """The pinned requirements and nothing else."""
    interpreter: tuple[str, ...]
    """One that cannot see this repository."""

    def serve(self, name: str) -> Served:
        """One function, as alone as in the cloud."""
        return Served(
            name,
            self.folders[name],
            self.cloud.environment,
            self.home,
            interpreter=self.interpreter,
            packages=self.packages,
        )

    def dead_letters(self) -> list[Any]:
        """What has been kept since the last time."""
        with subscriber_at(self.cloud.environment["PUBSUB_EMULATOR_HOST"]) as subscriber:
            name = f"projects/{PROJECT}/subscriptions/{DEAD_LETTERS}"
            received = subscriber.pull(subscription=name, max_messages=10, timeout=10).received_messages
            subscriber.acknowledge(subscription=name, ack_ids=[one.ack_id for one in received])
            return [one.message for one in received]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    folders = {subject.name: subject.folder for subject in prepare(folder) if not subject.is_baseline}
    for path in [path for one in folders.values() for path in (one, *one.rglob("*"))]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with TrialCloud(folder / "cloud") as cloud:
        yield Deployed(cloud, folders, folder / "homes", link_pinned(folder / "packages"), blind())
    for path in [path for one in folders.values() for path in (one, *one.rglob("*")) if path.is_dir()]:
        path.chmod(0o755)


def contents(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("name", functions(ROOT))
def test_a_zip_serves_by_itself(deployed: Deployed, name: str) -> None:
    before = contents(deployed.folders[name])
    bad = push("some-topic", b"no json at all", "bad data")
    deployed.cloud.forget()
    event = event_for(name, deployed.cloud, deployed.cloud.begin())
    with deployed.serve(name) as served:
        assert served.send(event) in event.answers
        memory = served.memory()
        assert memory is None or memory < MOST_MEMORY, f"{memory:.0f} MB"
        if name in OVER_HTTPS:
            assert served.send(Event("/", b"{}", "a stranger", answers=(401,))) == 401
        elif name in BY_SCHEDULE:
            assert served.send(tick("another_job")) == 200
            assert f"{name} done" in served.said()
        else:
            assert served.send(bad) == 200
            (letter,) = deployed.dead_letters()
            assert letter.data == b"no json at all"
            assert letter.attributes["function"] == name
            assert letter.attributes["topic"] == f"projects/{PROJECT}/topics/some-topic"
            assert "JSON" in letter.attributes["reason"]
    assert contents(deployed.folders[name]) == before


def test_an_incident_at_the_webhook_is_published_in_our_own_form(deployed: Deployed) -> None:
    event = event_for("receive_alert", deployed.cloud, deployed.cloud.begin())
    subscription = {"name": f"projects/{PROJECT}/subscriptions/look", "topic": f"projects/{PROJECT}/topics/alert-fired"}
    with (
        subscriber_at(deployed.cloud.environment["PUBSUB_EMULATOR_HOST"]) as subscriber,
        deployed.serve("receive_alert") as served,
    ):
        subscriber.create_subscription(subscription)
        assert served.send(event) == 202
        (received,) = subscriber.pull(subscription=subscription["name"], max_messages=10, timeout=10).received_messages
        subscriber.delete_subscription(subscription=subscription["name"])
    assert json.loads(received.message.data)["schema"] == "alert/v1"


ENDPOINTS, REGISTRY = "aiplatform_v1.endpoint_service", "aiplatform_v1.model_service"
JOBS = {"aiplatform_v1.job_service", "aiplatform_v1.pipeline_service"}
MONITORING = "monitoring_v3.metric_service"
PUBSUB = {"pubsub_v1.publisher"}
"""Pub/Sub's package has three small services, and loads them together."""
CLIENTS = {
    "advance_rollout": {ENDPOINTS},
    "assess_rollouts": {ENDPOINTS, MONITORING, *PUBSUB},
    "audit_costs": {ENDPOINTS, MONITORING, *PUBSUB},
    "find_training_runs": JOBS,
    "mirror_request": set(),
    "freeze_rollouts": PUBSUB,
    "notify": set(),
    "receive_alert": PUBSUB,
    "receive_command": PUBSUB,
    "record_quality": set(),
    "register_model": {REGISTRY},
    "replay_requests": set(),
    "retire_models": {ENDPOINTS},
    "roll_back": {ENDPOINTS, *PUBSUB},
    "start_rollout": {REGISTRY, *PUBSUB},
    "status_page": {ENDPOINTS, MONITORING},
}
"""The generated clients that a function has loaded when it has handled one event (``bench.events``): what it pays for."""


@pytest.mark.parametrize("name", functions(ROOT))
def test_a_function_loads_only_the_clients_that_it_asks(deployed: Deployed, name: str) -> None:
    deployed.cloud.forget()
    event = event_for(name, deployed.cloud, deployed.cloud.begin())
    files = probe(deployed, name, event)
    loaded = set(files)
    modules = [module.split(".") for module in loaded if module.startswith("google.") and module.endswith(".client")]
    clients = {f"{parts[-4]}.{parts[-2]}" for parts in modules if len(parts) > 4 and parts[-3] == "services"}
    assert clients == CLIENTS.get(name), "say in CLIENTS which clients the function is meant to load"
    assert not {"google.cloud.aiplatform", "vertexai", "google.cloud.firestore", "google.cloud.storage"} & loaded
    if not clients & {ENDPOINTS, REGISTRY, *JOBS}:
        assert not [module for module in loaded if module.startswith("google.cloud.aiplatform_v1.")]
    if MONITORING not in clients:
        assert not [module for module in loaded if module.startswith("google.cloud.monitoring_v3.services.")]


def test_nothing_of_the_repository_can_be_imported_beside_the_zip(deployed: Deployed) -> None:
    event = event_for("roll_back", deployed.cloud, deployed.cloud.begin())
    files = probe(deployed, "roll_back", event)
    ours = {file for module, file in files.items() if module.partition(".")[0] in ("shared", "main") and file}
    assert len(ours) > 20
    assert all(Path(file).is_relative_to(deployed.folders["roll_back"]) for file in ours)
    installed = Path(sys.prefix)
    inside = {file for file in files.values() if file and Path(file).is_relative_to(ROOT)}
    assert not [file for file in inside if not Path(file).is_relative_to(installed)]
    assert topics.DEAD_LETTERS == DEAD_LETTERS


def probe(deployed: Deployed, name: str, event: Event) -> dict[str, str | None]:
    """The modules of a fresh interpreter that has handled one event, with their files."""
    request = {"path": event.path, "body": event.body.decode(), "headers": dict(event.headers), "method": event.method}
    done = subprocess.run(
        [*INTERPRETER, "-c", PROBE, name],
        cwd=deployed.folders[name],
        env={**alone(deployed.cloud.environment), "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["status"] in event.answers, done.stdout
    files: dict[str, str | None] = said["files"]
    return files


def test_the_interpreter_that_serves_cannot_see_the_repository(deployed: Deployed) -> None:
    if "unshare" not in deployed.interpreter:
        pytest.skip("this machine lets nobody mount; that nothing of the repository is imported is tested above")
    look = "import os, sys; print(os.path.exists(sys.argv[1]), os.path.exists(sys.argv[2]))"
    there = str(deployed.folders["roll_back"] / "main.py")
    done = subprocess.run(
        [*deployed.interpreter, "-c", look, str(ROOT / "shared"), there], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
    only_for_developing = deployed.packages / "yaml"
    assert (deployed.packages / "pydantic").is_dir()
    assert not only_for_developing.exists()
