"""The story that the demo plays: four training runs and what becomes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from local.alert_policies import make_error_alert, make_webhook
from local.cloud import PROJECT, REGION, LocalCloud, Settings
from local.compressed import by_bake_time
from local.quality_reporter import QualityReporter
from local.quality_reporter import connect as connect_metrics
from local.tally import VersionSnapshot
from local.traffic import Traffic, TrafficSnapshot
from local.training import Run, announce, change_behaviour, publish, run_pipeline, write_artifact
from shared import clock, topics
from shared.policy.loading import load_policy
from shared.policy.schema import Policy
from shared.rollout.observed import ModelVersion, TargetRef
from shared.rollout.record import LedgerEntry, Phase, Rollout
from shared.store.store import Store
from shared.vertex.registry import Registry
from shared.wiring import World, store_from_env

POLICY = Path(__file__).parent.parent / "infra" / "policies" / "arr-coc-relevance.yaml"
SOUND = {"latency_ms": 25, "jitter_ms": 3}
"""A model that takes its time, so that what else this machine does is small beside it."""
V1 = Run("run-1", behaviour=SOUND, metrics={"relevance_auc": 0.861})
V2 = Run("run-2", behaviour=SOUND, metrics={"relevance_auc": 0.874}, code_revision="8d04b7e")
V3 = Run(
    "run-3",
    scorer="perspectival",
    behaviour={**SOUND, "error_rate": 0.25, "tokens_scale": 1.9},
    metrics={"relevance_auc": 0.881},
    code_revision="c77e210",
)
V4 = Run("run-4", scorer="participatory", behaviour=SOUND, metrics={"relevance_auc": 0.879}, code_revision="f19a3d5")
CALLERS = 24
DEGRADED = {**SOUND, "error_rate": 0.35}
INTO_THE_WATCH = timedelta(minutes=6)
"""How long v4 is well: an incident that begins within the metrics' lag of a promotion cannot be its fault."""


class StoryError(Exception):
    """Something that had to happen did not."""


class Watcher(Protocol):
    """Who looks at the story while it plays."""

    def start(self, look: Callable[[], Look]) -> None: ...
    def chapter(self, title: str) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True)
class Look:
    """What can be seen at one moment."""

    now: datetime
    began: datetime
    rate: float
    rollouts: tuple[Rollout, ...]
    ledger: tuple[LedgerEntry, ...]
    split: Mapping[str, int]
    traffic: TrafficSnapshot | None


@dataclass(frozen=True)
class Facts:
    """What is left when it is over; the outcomes are judged on this alone."""

    began: datetime
    rate: float
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    """By version."""
    ledger: tuple[LedgerEntry, ...] = ()
    splits: tuple[Mapping[str, Any], ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    served: tuple[VersionSnapshot, ...] = ()
    unanswered: int = 0
    deployed: tuple[str, ...] = ()
    """Versions on the endpoint at the end."""
    split: Mapping[str, int] = field(default_factory=dict)
    """Version to percent at the end."""
    endpoints: tuple[str, ...] = ()
    """All endpoints of the region at the end."""
    notices: Mapping[str, int] = field(default_factory=dict)
    forged: int = 0
    dead_letters: int = 0
    complete: bool = False


class Story:
    """Plays it once; other stories are told by those who override ``policy``, ``play`` and ``end``."""

    def __init__(self, folder: Path, seed: int, rate: float, rps: float, watcher: Watcher) -> None:
        self._policy = self.policy()
        self.seed, self._rate, self._rps, self.watcher = seed, rate, rps, watcher
        image = self._policy.register_.container.image
        self.cloud = LocalCloud(Settings(folder.resolve(), rate, seed, images=(image,)))
        self._store: Store | None = None
        self._world = World()
        self._registry = Registry()
        self.traffic: Traffic | None = None
        self._began = clock.now()
        self._facts = Facts(self._began, rate)

    def policy(self) -> Policy:
        """The policy that is in force: the example's."""
        return by_bake_time(load_policy(POLICY))

    def end(self) -> None:
        """Stop what the story has started, however it ended."""

    @property
    def endpoint_name(self) -> str:
        """The full name of the endpoint that users ask."""
        return f"projects/{PROJECT}/locations/{REGION}/endpoints/{self._target.endpoint}"

    @property
    def _target(self) -> TargetRef:
        return TargetRef(PROJECT, REGION, self._policy.targets[0].endpoint)

    @property
    def model(self) -> str:
        """Whose versions the story is about."""
        return self._policy.model

    def facts(self) -> Facts:
        """What is known of how it went."""
        return self._facts

    def run(self) -> None:
        """From the first training run to the end; StoryError when a chapter does not come to its end in time."""
        with self.cloud:
            self._store = store_from_env()
            self._began = clock.now()
            self.watcher.start(self._look)
            self.watcher.chapter(f"the status page, for as long as this plays: {self.cloud.page.url}")
            try:
                self.play()
                self._facts = self._collect(complete=True)
            except StoryError:
                self._facts = self._collect(complete=False)
                raise
            finally:
                self.watcher.stop()  # it reads the store
                self.end()
                if self.traffic:
                    self.traffic.stop()
                self._store.close()

    def apply(self) -> None:
        """What ``rollouts apply`` does."""
        self._db.put_policy(self._policy, "demo@example.com", clock.now())

    def play(self) -> None:
        """The chapters."""
        folders = {run.id: write_artifact(self.cloud.buckets, run, self.seed) for run in (V1, V2, V3, V4)}
        self.apply()
        self.make_alerts()
        self.watcher.chapter("v1: a pipeline ends, its model takes the endpoint")
        self.train(V1)
        self.until("v1 has the traffic", "1", Phase.WATCHING, 60)
        self.begin_traffic()
        self.watcher.chapter("v2 is good: 10, 50, 100 %")
        self.train(V2)
        self.until("v2 has all the traffic", "2", Phase.WATCHING, 240)
        self.watcher.chapter("v3 fails and spends too many tokens; its message comes twice, and another is nonsense")
        announce(self.cloud.pubsub, PROJECT, V3, self._policy.model, times=2)
        publish(self.cloud.pubsub, PROJECT, topics.TRAINING_COMPLETED, b'{"schema": "training-completed/v9"}')
        self.until("v3 is rolled back", "3", Phase.ROLLED_BACK, 120)
        self.watcher.chapter("v4 is good, too")
        self.train(V4)
        promoted = self.until("v4 has all the traffic", "4", Phase.WATCHING, 240)
        self.wait("v4 is well for a while", lambda: clock.now() >= promoted.phase_since + INTO_THE_WATCH, 30)
        self.watcher.chapter("v4 degrades: an incident, a webhook, the fallback")
        change_behaviour(folders[V4.id], DEGRADED)
        self.until("v4 gives its traffic back", "4", Phase.ROLLED_BACK, 60)
        self.watcher.chapter("tidying: aliases, replicas, machines that nobody needs")
        self.wait("the aliases stand", self.is_settled, 60)

    def train(self, run: Run) -> None:
        source = self._policy.register_.source.pipeline or ""
        run_pipeline(self.cloud.vertex, PROJECT, REGION, run, source, seconds=120)

    def make_alerts(self) -> None:
        url = f"{self.cloud.url('receive_alert')}?auth_token={self.cloud.alert_token}"
        channel = make_webhook(self.cloud.vertex, PROJECT, url)
        make_error_alert(self.cloud.vertex, PROJECT, self._target.endpoint, REGION, channel, share=0.05)

    def begin_traffic(self) -> None:
        name = self.endpoint_name
        reporter = QualityReporter(connect_metrics(self.cloud.vertex), name).start()
        self.traffic = Traffic(self.cloud.vertex, name, self._rps, self.seed, reporter.observe, workers=CALLERS).start()

    def until(self, what: str, version: str, phase: Phase, minutes: float) -> Rollout:
        """Wait until that version's rollout is in that phase; compressed minutes."""
        self.wait(what, lambda: self._is_in(version, phase), minutes)
        return next(r for r in self.rollouts() if r.version == version)

    def _is_in(self, version: str, phase: Phase) -> bool:
        found = next((r for r in self.rollouts() if r.version == version), None)
        if found and not found.phase.is_open and found.phase is not phase:
            raise StoryError(f"v{version} is {found.phase.value}, not {phase.value}: {found.sentence}")
        return found is not None and found.phase is phase

    def wait(self, what: str, is_true: Callable[[], bool], minutes: float) -> None:
        ends = clock.now() + timedelta(minutes=minutes)
        while not is_true():
            if clock.now() > ends:
                raise StoryError(f"waited {minutes:g} minutes in vain: {what}")
            time.sleep(0.1)

    def is_settled(self) -> bool:
        """Whether everything stands, and nobody's machines are paid but the last one's."""
        endpoint = self._world.endpoints.get(self._target)
        return self.is_told() and endpoint is not None and len(endpoint.deployed) == 1

    def is_told(self) -> bool:
        """Whether nothing is under way but a watch, aliases stand, and people have been told of everything."""
        if any(r.aliases_due or (r.phase.is_open and r.phase is not Phase.WATCHING) for r in self.rollouts()):
            return False
        told = self.cloud.receiver.received
        return all(e.id in told for e in self._told())

    @property
    def _db(self) -> Store:
        if self._store is None:
            raise StoryError("the story has not begun")
        return self._store

    def rollouts(self) -> list[Rollout]:
        return self._db.rollouts_of_model(self._policy.model)

    def _told(self) -> list[LedgerEntry]:
        """Entries that people are to get."""
        return [e for e in self._db.ledger() if self._db.get_notice(e.id)]

    def _look(self) -> Look:
        splits = _splits(self.cloud.splits)
        last = splits[-1] if splits else {"traffic_split": {}, "deployed": []}
        return Look(
            now=clock.now(),
            began=self._began,
            rate=self._rate,
            rollouts=tuple(sorted(self.rollouts(), key=lambda r: int(r.version))),
            ledger=tuple(self._db.ledger()),
            split=_by_version(last),
            traffic=self.traffic.snapshot() if self.traffic else None,
        )

    def _collect(self, complete: bool) -> Facts:
        served = self.traffic.snapshot() if self.traffic else None
        endpoint = self._world.endpoints.get(self._target)
        versions = self._registry.versions(PROJECT, REGION, self._policy.model)
        named = {d.id: d.version for d in endpoint.deployed} if endpoint else {}
        receiver = self.cloud.receiver
        return Facts(
            began=self._began,
            rate=self._rate,
            rollouts={r.version: r for r in self.rollouts()},
            ledger=tuple(self._db.ledger()),
            splits=tuple(_splits(self.cloud.splits)),
            versions=tuple(versions),
            served=tuple(v for k, v in sorted(served.versions.items(), key=lambda p: p[1].version) if k)
            if served
            else (),
            unanswered=served.versions[""].requests if served and "" in served.versions else 0,
            deployed=tuple(sorted(named.values())),
            split={named.get(k, k): v for k, v in endpoint.split.items()} if endpoint else {},
            endpoints=tuple(sorted(e.ref.endpoint for e in self._world.endpoints.list(PROJECT, REGION))),
            notices=dict(receiver.received),
            forged=receiver.forged,
            dead_letters=_dead_letters(self.cloud.pubsub),
            complete=complete,
        )


def _splits(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []


def _by_version(snapshot: Mapping[str, Any]) -> dict[str, int]:
    named = {d["id"]: d["version"] for d in snapshot["deployed"]}
    return {f"v{named.get(k, k)}": v for k, v in snapshot["traffic_split"].items() if v}


def _dead_letters(pubsub: str) -> int:
    from local.pubsub.control import counts

    return next(
        (c["published"] for name, c in counts(pubsub).items() if name.endswith(f"/topics/{topics.DEAD_LETTERS}")), 0
    )
