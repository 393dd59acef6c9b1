"""The whole system on one machine: the real functions and clients, and local servers for what they talk to.

Four processes (Vertex AI with Monitoring, Pub/Sub, the functions, and the one that uses this module) and one per model server. Everything
computes the same compressed time from ``CLOCK_ORIGIN`` and ``CLOCK_RATE``. For fidelity each function can have a process and a server of its
own, as in the cloud, and Google's Pub/Sub emulator can stand in for ours.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from local.functions import FUNCTIONS
from local.google_emulators import NotInstalled, start_pubsub
from local.host import ProcessHost, discover
from local.iap import AUDIENCE as PAGE_AUDIENCE
from local.iap import IdentityAwareProxy
from local.identity import Issuer, KeyServer
from local.process import Part
from local.pubsub.wiring import Route, wire
from local.receiver import Receiver
from local.scheduler import Job, Scheduler
from local.storage import Storage
from shared import topics

PROJECT = "local-project"
REGION = "us-central1"
LIVE_BUCKET = "live-endpoints"
"""Whose objects say which endpoint of two is live."""
OPERATOR = "operator@example.com"
"""Who commands rollouts whose policy names nobody."""
ROOT = Path(__file__).parent.parent
SERVING = ROOT / "infra" / "serving" / "server.py"

_MINUTE = timedelta(seconds=60)

ROUTES: Mapping[str, Route] = {
    "register_model": Route(topics.TRAINING_COMPLETED, attempts=100, maximum_backoff=_MINUTE),
    "find_training_runs": Route(topics.SCHEDULE, 'attributes.job = "find_training_runs"', 20, maximum_backoff=_MINUTE),
    "start_rollout": Route(topics.MODEL_UPLOADED, attempts=20),
    "assess_rollouts": Route(topics.SCHEDULE, 'attributes.job = "assess_rollouts"', 20, maximum_backoff=_MINUTE),
    "advance_rollout": Route(topics.ROLLOUT_DUE, attempts=20, maximum_backoff=_MINUTE),
    # Monitoring sends an incident once, so it must outlast an outage of Vertex AI.
    "roll_back": Route(topics.ALERT_FIRED, attempts=100, maximum_backoff=_MINUTE),
    "retire_models": Route(topics.SCHEDULE, 'attributes.job = "retire_models"', 20, maximum_backoff=_MINUTE),
    "audit_costs": Route(topics.SCHEDULE, 'attributes.job = "audit_costs"', 20, maximum_backoff=_MINUTE),
    "notify": Route(topics.ROLLOUT_CHANGED, attempts=20),
    # What was asked an hour ago says nothing that the next request does not say better.
    "mirror_request": Route(topics.PREDICTION_LOGGED, attempts=5),
    "record_quality": Route(topics.QUALITY_REPORTED, attempts=20, maximum_backoff=_MINUTE),
    "freeze_rollouts": Route(topics.BUDGET_NOTIFIED, attempts=20, maximum_backoff=_MINUTE),
    "replay_requests": Route(topics.SCHEDULE, 'attributes.job = "replay_requests"', 20, maximum_backoff=_MINUTE),
}
"""What wakes each function; the same table as in infra."""

JOBS = (
    Job("assess_rollouts", timedelta(minutes=1)),
    Job("find_training_runs", timedelta(minutes=5)),
    Job("replay_requests", timedelta(minutes=1)),
    Job("retire_models", timedelta(minutes=10)),
    Job("audit_costs", timedelta(days=1)),
)


@dataclass(frozen=True)
class Settings:
    """How a local cloud is to be."""

    folder: Path
    """Store, buckets, logs; emptied at the start."""
    rate: float = 1.0
    """Compressed seconds per wall second."""
    seed: int = 1
    images: tuple[str, ...] = ()
    """Container images that the reference serving container stands for."""
    metrics_delay: float = 60
    vertex: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the emulator's configuration."""
    jobs: Sequence[Job] = JOBS
    host: Literal["thread", "process"] = "thread"
    """All functions in one process, or each in one of its own under the production server: slower to start, and as in the cloud."""
    functions: Sequence[str] = ("local.functions",)
    """The module that serves them, with its arguments, for ``thread``."""
    pubsub: Literal["embedded", "google"] = "embedded"
    """Ours, or Google's emulator, whose time is the wall clock's: it needs ``rate`` 1."""

    def __post_init__(self) -> None:
        if self.pubsub == "google" and self.rate != 1:
            raise ValueError(
                f"rate is {self.rate:g}; Google's Pub/Sub emulator dates messages by the wall clock, so it must be 1"
            )


class NotInstalledError(RuntimeError):
    """Something that was asked for is not on this machine; the message says what would help."""


class LocalCloud:
    """A context manager: everything is there inside, and gone afterwards."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.issuer = Issuer.create()
        self.alert_token = secrets.token_urlsafe(24)
        self.notice_secret = secrets.token_urlsafe(24)
        self.receiver = Receiver(self.notice_secret)
        self.environment: dict[str, str] = {}
        self.page = IdentityAwareProxy(OPERATOR, lambda: self.url("status_page"))
        """Where people look; ``page.url`` is its address."""
        self._stack = ExitStack()
        self._url: Callable[[str], str] | None = None

    @property
    def buckets(self) -> Path:
        """Where ``gs://bucket/path`` is ``bucket/path``."""
        return self.settings.folder / "buckets"

    @property
    def splits(self) -> Path:
        """Every traffic split that was ever in force, one JSON line each."""
        return self.settings.folder / "splits.jsonl"

    @property
    def vertex(self) -> str:
        """Address of Vertex AI and of Monitoring."""
        return self.environment["VERTEX_EMULATOR_HOST"]

    @property
    def pubsub(self) -> str:
        return self.environment["PUBSUB_EMULATOR_HOST"]

    def url(self, function: str) -> str:
        """Where a function listens."""
        if self._url is None:
            raise RuntimeError("the functions are not served yet; enter the cloud first")
        return self._url(function)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        folder = self.settings.folder
        shutil.rmtree(folder, ignore_errors=True)
        self.buckets.mkdir(parents=True)
        self._set(CLOCK_RATE=f"{self.settings.rate:g}", CLOCK_ORIGIN=f"{time.time():.3f}", GOOGLE_CLOUD_PROJECT=PROJECT)
        keys = self._stack.enter_context(KeyServer(self.issuer))
        storage = self._stack.enter_context(Storage(self.buckets))
        self._set(STORAGE_EMULATOR_HOST=storage.url, LIVE_BUCKET=LIVE_BUCKET)
        self._stack.enter_context(self.receiver)
        self._stack.enter_context(self.page)
        self._set(PUBSUB_EMULATOR_HOST=self._serve_pubsub())
        # The topics first: log entries and incidents are published as soon as Vertex AI is there.
        wire(self.pubsub, PROJECT, {}, lambda name: name, topics=topics.ALL)
        config = {
            "images": {image: [sys.executable, str(SERVING)] for image in self.settings.images},
            "buckets": str(self.buckets),
            **self.settings.vertex,
        }
        vertex = self._run(
            "vertex",
            *("local.vertex", "--pubsub", self.pubsub, "--project", PROJECT, "--config", json.dumps(config)),
            *("--splits", str(self.splits), "--seed", str(self.settings.seed)),
            *("--metrics-delay", f"{self.settings.metrics_delay:g}"),
        )
        self._set(
            VERTEX_EMULATOR_HOST=vertex,
            MONITORING_EMULATOR_HOST=vertex,
            STORE="sqlite",
            STORE_PATH=str(folder / "rollouts.db"),
            REPORTS_FOLDER=str(folder / "reports"),
            FLEET_CHANNELS="webhook://ops",
            ALERT_TOKEN=self.alert_token,
            ID_TOKEN_CERTS_URL=keys.url,
            COMMAND_AUDIENCE="rollouts-local",
            IAP_CERTS_URL=self.page.keys_url,
            PAGE_AUDIENCE=PAGE_AUDIENCE,
            PAGE_REFRESH="3",
            STATUS_PAGE_URL=self.page.url,
            COMMAND_OPERATORS=OPERATOR,
            NOTIFY_CHANNELS=json.dumps(
                {"arr-coc-alerts": {"url": self.receiver.url, "secret": self.notice_secret}}
                | {"ops": {"url": self.receiver.url, "secret": self.notice_secret}}
            ),
        )
        self._url = self._serve_functions()
        wire(self.pubsub, PROJECT, ROUTES, self.url, topics=topics.ALL)
        schedule = f"projects/{PROJECT}/topics/{topics.SCHEDULE}"
        self._stack.enter_context(Scheduler(self.pubsub, schedule, self.settings.jobs))

    def _serve_pubsub(self) -> str:
        if self.settings.pubsub == "embedded":
            return self._run("pubsub", "local.pubsub", "--port", "0")
        emulator = start_pubsub()
        if isinstance(emulator, NotInstalled):
            raise NotInstalledError(emulator.reason)
        return self._stack.enter_context(emulator).address

    def _serve_functions(self) -> Callable[[str], str]:
        if self.settings.host == "process":
            return self._stack.enter_context(ProcessHost(discover(FUNCTIONS), root=ROOT)).url
        base = self._run("functions", *self.settings.functions)
        self._set(FUNCTIONS_URL=base)
        return lambda function: f"{base}/{function}"

    def _set(self, **variables: str) -> None:
        """For the parts, and for this process: the command line and the demo use the same clients."""
        self.environment |= variables
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        self._stack.callback(_restore, before)

    def _run(self, name: str, *arguments: str) -> str:
        part = Part(name, arguments, self.environment, self.settings.folder / "logs")
        self._stack.callback(part.stop)  # before it starts: an interruption while it does must not leave it behind
        return part.start().address


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
