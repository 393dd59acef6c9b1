"""The lifecycle on a real project, opt-in: ``make cloud-test PROJECT=...`` (``python -m infra.cloud_test --project P``).

It builds the reference serving container, applies infra/, asks the doctor, and delivers a small model: the first version takes the endpoint,
the second is good and promoted, the third fails and has to be taken back. Then it removes what it made. Everything is a command that a
person could type; ``--print`` shows them and runs none. It costs a few dollars and takes over an hour, most of it for deployments.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.package import ROOT, package_all

MODEL, ENDPOINT, REPOSITORY = "vr-cloud-test", "vr-cloud-test", "vr-cloud-test"
PATIENCE = 90 * 60
"""Seconds for one version to come to its end."""
LOOK = 30
"""Seconds between two looks."""
POLICY = """\
model: {model}
targets: [{{region: {region}, endpoint: {endpoint}}}]
register:
  from: {{message: true}}
  container: {{image: {image}}}
machine: {{type: n1-standard-2, replicas: {{min: 1, max: 2}}}}
rollout:
  stages: [{{traffic: 20, bake: 10m}}, {{traffic: 100}}]
  checks: [{{metric: error_rate, at_most: 5%}}]
  standby: {{hold: 5m, for: 10m, replicas: 1}}
"""
VERSIONS: Mapping[str, Mapping[str, Any]] = {"first": {}, "good": {}, "bad": {"error_rate": 0.5}}
EXPECTED = {"first": "promoted", "good": "promoted", "bad": "rolled_back"}


class CloudTestError(Exception):
    """What was expected did not happen, or a command failed."""


@dataclass
class Lifecycle:
    """One run; ``run`` executes a command and answers what it printed."""

    project: str
    region: str
    folder: Path
    run: Callable[[Sequence[str], Mapping[str, str]], str]
    seen: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        return f"{self.region}-docker.pkg.dev/{self.project}/{REPOSITORY}/serving:1"

    @property
    def bucket(self) -> str:
        return f"gs://{self.project}-vr-cloud-test"

    @property
    def environment(self) -> dict[str, str]:
        """For the command line."""
        return {"GOOGLE_CLOUD_PROJECT": self.project, "STORE": "firestore"}

    def prepare(self) -> None:
        """The container, the artifacts, the policy, everything in infra/."""
        of = ("--project", self.project)
        there = ("artifacts", "repositories", "create", REPOSITORY, "--repository-format=docker")
        self._gcloud(*there, f"--location={self.region}", *of)
        self._gcloud("builds", "submit", str(ROOT / "infra" / "serving"), f"--tag={self.image}", *of)
        self._gcloud("storage", "buckets", "create", self.bucket, f"--location={self.region}", *of)
        for name, behaviour in VERSIONS.items():
            model = self.folder / name / "model.json"
            model.parent.mkdir(parents=True)
            kind = {"kind": "tabular", "weights": {"x": 1.0}, "bias": 0.0, "seed": 1, "behaviour": behaviour}
            model.write_text(json.dumps(kind))
            self._gcloud("storage", "cp", str(model), f"{self.bucket}/{name}/model.json", *of)
        policies = self.folder / "policies"
        policies.mkdir()
        place = {"model": MODEL, "endpoint": ENDPOINT, "region": self.region, "image": self.image}
        (policies / f"{MODEL}.yaml").write_text(POLICY.format(**place))
        self.run(("terraform", "-chdir=infra", "init", "-input=false"), {})
        self.run(("terraform", "-chdir=infra", "apply", "-auto-approve", "-input=false", *self._variables()), {})
        self._rollouts("apply", str(policies), "--author", "cloud-test@example.com")

    def deliver(self, name: str) -> str:
        """One version to its end; the phase in which it ends."""
        message = {
            "schema": "training-completed/v1",
            "run_id": name,
            "model": MODEL,
            "artifact_uri": f"{self.bucket}/{name}",
        }
        publish = ("pubsub", "topics", "publish", "training-completed", f"--message={json.dumps(message)}")
        self._gcloud(*publish, "--project", self.project)
        version, until = len(self.seen) + 1, time.monotonic() + PATIENCE
        while time.monotonic() < until:
            said = json.loads(self._rollouts("list", "--model", MODEL, "--all", "--json") or '{"rollouts": []}')
            of_ours = [one for one in said["rollouts"] if str(one["version"]) == str(version)]
            phase = of_ours[0]["phase"] if of_ours else "not begun"
            print(f"cloud-test: {name} (v{version}) is {phase}", flush=True)
            if phase in ("promoted", "rolled_back", "failed", "rejected", "superseded"):
                self.seen[name] = phase
                return str(phase)
            time.sleep(LOOK)
        raise CloudTestError(f"{name} had not ended after {PATIENCE // 60} minutes")

    def remove(self) -> None:
        """Everything but the database, whose records are left to look at."""
        where = ("--project", self.project, "--quiet")
        self.run(("terraform", "-chdir=infra", "destroy", "-auto-approve", "-input=false", *self._variables()), {})
        self._gcloud("ai", "endpoints", "delete", ENDPOINT, f"--region={self.region}", *where)
        self._gcloud("storage", "rm", "--recursive", self.bucket, *where)
        self._gcloud("artifacts", "repositories", "delete", REPOSITORY, f"--location={self.region}", *where)

    def _variables(self) -> tuple[str, ...]:
        project = f"project={{ id = {json.dumps(self.project)}, region = {json.dumps(self.region)} }}"
        bucket = json.dumps([self.bucket.removeprefix("gs://")])
        policies = json.dumps(str(self.folder / "policies"))
        return (f"-var={project}", f"-var=delivery={{ policies = {policies}, artifact_buckets = {bucket} }}")

    def _gcloud(self, *arguments: str) -> str:
        return self.run(("gcloud", *arguments), {})

    def _rollouts(self, *arguments: str) -> str:
        return self.run((str(Path(sys.executable).parent / "rollouts"), *arguments), self.environment)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every version ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m infra.cloud_test", description="The lifecycle on a real project.")
    parser.add_argument("--project", required=True, help="an empty project with billing, for this and nothing else")
    parser.add_argument("--region", default="us-central1")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print the commands, run none")
    parser.add_argument("--keep", action="store_true", help="leave everything there at the end")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        run = _printed if options.only_print else _executed
        life = Lifecycle(options.project, options.region, Path(folder), run)
        try:
            package_all(ROOT, ROOT / "build" / "functions")
            life.prepare()
            if options.only_print:
                print("# then a message per version, a look every 30 s, and traffic meanwhile; at the end:")
                life.remove()
                return 0
            with _traffic(options.project, options.region):
                wrong = {name: found for name in VERSIONS if (found := life.deliver(name)) != EXPECTED[name]}
            life.run((str(Path(sys.executable).parent / "rollouts"), "doctor"), life.environment)
        except CloudTestError as exc:
            print(
                f"cloud-test: {exc}; what was made is still there: look, then `--keep` or remove it by hand",
                file=sys.stderr,
            )
            return 1
        if not options.keep:
            life.remove()
    for name, phase in life.seen.items():
        print(f"cloud-test: {name} ended {phase}, expected {EXPECTED[name]}")
    return 1 if wrong else 0


def _executed(command: Sequence[str], environment: Mapping[str, str]) -> str:
    print(f"cloud-test: {' '.join(command)[:200]}", flush=True)
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise CloudTestError(f"{command[0]} ended with {done.returncode}: {' '.join(command)}")
    return done.stdout


def _printed(command: Sequence[str], environment: Mapping[str, str]) -> str:
    import shlex

    print(shlex.join([*(f"{name}={value}" for name, value in environment.items()), *command]))
    return ""


@contextmanager
def _traffic(project: str, region: str) -> Any:
    """Ten predictions a second from now on; those that fail, or find no endpoint yet, are what is tested."""
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    session, over = AuthorizedSession(credentials), threading.Event()
    address = f"https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/endpoints/{ENDPOINT}:predict"

    def ask() -> None:
        number = 0
        while not over.wait(0.1):
            number += 1
            try:
                session.post(address, json={"instances": [{"id": str(number), "x": 0.5}]}, timeout=10)
            except OSError:
                continue

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(15)


if __name__ == "__main__":
    sys.exit(main())
