"""Whole rollouts one after the other on many endpoints at once: each version's behaviour, what became of it, and when."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench.soak_cloud import SoakCloud, TickCost, minutes_between
from bench.trial import BenchError
from local.draws import ORDINARY, Behaviour, Served, draw_requests, draw_served
from local.stepped import PARENT, REGION
from shared import topics
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy
from shared.rollout.observed import Endpoint
from shared.rollout.record import Phase, Rollout

KINDS = {
    "equal": ORDINARY,
    "errors 1 % -> 5 %": Behaviour(errors=0.05),
    "latency x1.3": Behaviour(slow=1.3),
    "tokens x1.6": Behaviour(tokens=1.6),
}
"""What a candidate is like beside its stable."""
EQUAL = "equal"
RPS = 10.0
PATIENCE = 12 * 60
"""Minutes from its first share after which a trial that has not ended is called held."""
STILL = 180
"""Minutes within which a version must have got its first share; more is a fault of the wiring."""

CHECKS = [
    {"metric": "error_rate", "margin": "1.5x"},
    {"metric": "latency_ms", "margin": "1.2x"},
    {"metric": "tokens", "share_above": {350: "5%"}, "share_below": {80: "10%"}},
]


STAGES = ({"traffic": 10}, {"traffic": 50}, {"traffic": 100})


def policy(model: str, stages: Sequence[Mapping[str, Any]] = STAGES) -> Policy:
    """The policy of one endpoint; all differ in their names only."""
    content: dict[str, Any] = {
        "model": model,
        "targets": [{"region": REGION, "endpoint": f"{model}-serving"}],
        "register": {"from": {"message": True}, "container": {"image": "sim/soak:1"}},
        "machine": {"type": "n1-standard-2", "replicas": {"min": 1, "max": 2}},
        "rollout": {
            "advance": "evidence",
            "stages": list(stages),
            "metrics": {"lag": "4m", "settle": "1m"},
            "checks": CHECKS,
            "standby": {"hold": "10m", "for": "20m"},
        },
    }
    return parse_policy(content, "the soak's policy")


@dataclass
class Trial:
    """One candidate, and what is seen of its rollout."""

    number: int
    kind: str
    rollout: str = ""
    shared_at: datetime | None = None
    """Its first share."""
    promoted_at: datetime | None = None
    ended_at: datetime | None = None
    end: str = ""
    """promoted, rolled back, held, or the phase in which it ended otherwise."""
    why: str = ""

    @property
    def minutes(self) -> float | None:
        """From the first share to all the traffic, or to none."""
        until = self.promoted_at if self.end == "promoted" else self.ended_at
        return minutes_between(self.shared_at, until) if self.shared_at and until else None


@dataclass
class Place:
    """One endpoint with its model, and the trial that it has at present; its stable always behaves as ordinary ones do."""

    model: str
    registered_at: datetime
    version: int = 1
    trial: Trial | None = None
    generator: random.Random = field(default_factory=random.Random)

    @property
    def name(self) -> str:
        return f"{self.model}-serving"


class Soak:
    """Plays trials on a cloud until all have ended."""

    def __init__(
        self,
        cloud: SoakCloud,
        trials: Sequence[Trial],
        at_once: int,
        seed: int,
        names: str = "soak-{:03}",
        stages: Sequence[Mapping[str, Any]] = STAGES,
    ) -> None:
        self.trials = list(trials)
        self.ticks: list[TickCost] = []
        self._cloud = cloud
        self._waiting = iter(self.trials)
        self._seed = seed
        self._stages = stages
        self._names = (names.format(number) for number in itertools.count(1))
        self._live: list[Place] = [self._open() for _ in range(min(at_once, len(self.trials)))]

    @property
    def ended(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.end]

    def minutes(self) -> Iterator[int]:
        """Minute by minute; the number of the one that is over."""
        number = 0
        rollouts: dict[str, Rollout] = {}
        while self._live:
            splits = self._cloud.begin_minute()
            judged = [r for r in rollouts.values() if r.phase in (Phase.CANARY, Phase.WATCHING)]
            for place in self._live:
                rollout = rollouts.get(place.model)
                if rollout and rollout.phase in (Phase.CANARY, Phase.WATCHING):
                    self._serve(place, rollout, splits[place.name])
            self.ticks.append(self._cloud.end_minute(len(judged)))
            rollouts = self._look()
            self._live = [after for place in self._live if (after := self._follow(place, rollouts.get(place.model)))]
            number += 1
            yield number

    def _open(self) -> Place:
        """Another endpoint, and the registration of its first version."""
        place = Place(next(self._names), self._cloud.now)
        self._cloud.world.store.put_policy(policy(place.model, self._stages), "soak@example.com", self._cloud.now)
        self._register(place)
        return place

    def _register(self, place: Place) -> None:
        """The next version: by the message of a training run, every third by somebody's own upload."""
        run = f"run-{place.version}"
        if place.version % 3 == 0:
            self._cloud.models.upload_model(
                {
                    "parent": PARENT,
                    "parent_model": f"{PARENT}/models/{place.model}",
                    "model": {"display_name": place.model, "container_spec": {"image_uri": "sim/soak:1"}},
                }
            )
        else:
            message = {
                "schema": "training-completed/v1",
                "model": place.model,
                "run_id": run,
                "artifact_uri": f"gs://models/{place.model}/{run}",
                "metrics": {"auc": 0.9},
            }
            self._cloud.publish(topics.TRAINING_COMPLETED, json.dumps(message).encode())
        place.registered_at = self._cloud.now

    def _look(self) -> dict[str, Rollout]:
        """The present rollout of each model, where there is one."""
        found: dict[str, Rollout] = {}
        for place in self._live:
            for rollout in self._cloud.world.store.rollouts_of_model(place.model):
                if rollout.version == str(place.version):
                    found[place.model] = rollout
        return found

    def _serve(self, place: Place, rollout: Rollout, endpoint: Endpoint) -> None:
        """What the endpoint's split makes of this minute's requests."""
        candidate = KINDS[place.trial.kind] if place.trial else ORDINARY
        share = endpoint.share(rollout.deployed_id)
        others = [d.id for d in endpoint.deployed if d.id != rollout.deployed_id and endpoint.share(d.id)]
        left, taken = draw_requests(place.generator, RPS, share / 100)
        if share in (0, 100) or not others:
            left, taken = (left + taken, 0) if share == 0 else (0, left + taken)
        served: list[tuple[str, Served]] = []
        if left:
            served.append((others[0], draw_served(place.generator, left, ORDINARY)))
        if taken:
            served.append((rollout.deployed_id, draw_served(place.generator, taken, candidate)))
        for deployed, what in served:
            self._cloud.report(place.name, deployed, what)

    def _follow(self, place: Place, rollout: Rollout | None) -> Place | None:
        """What is next on an endpoint: the same trial, another, another endpoint, or nothing any more."""
        trial, now = place.trial, self._cloud.now
        if trial is None:
            if rollout is None or rollout.phase.is_open:
                self._check_moving(place)
                return place
            if rollout.phase is not Phase.PROMOTED:
                raise BenchError(f"{place.model}: the first version ended as {rollout.phase}: {rollout.sentence}")
            return self._next(place)
        if rollout is None or (rollout.phase.is_open and rollout.stage_since is None):
            self._check_moving(place)
            return place
        trial.rollout = rollout.id
        trial.shared_at = trial.shared_at or rollout.stage_since
        if rollout.phase in (Phase.WATCHING, Phase.PROMOTED):
            trial.promoted_at = trial.promoted_at or rollout.phase_since
        if rollout.phase.is_open:
            late = trial.shared_at and minutes_between(trial.shared_at, now) > PATIENCE
            if not rollout.hold and not late:
                return place
            trial.end = "held"
        else:
            trial.end = str(rollout.phase).replace("_", " ")
        trial.ended_at = now if rollout.phase.is_open else rollout.phase_since
        trial.why = rollout.sentence
        is_spoilt = trial.end == "held" or (trial.kind != EQUAL and trial.end == "promoted")
        # An endpoint whose stable is bad, or whose trial hangs, is no place for another.
        return self._open() if is_spoilt else self._next(place)

    def _check_moving(self, place: Place) -> None:
        waited = minutes_between(place.registered_at, self._cloud.now)
        if waited > STILL:
            raise BenchError(f"{place.model} v{place.version} has no share after {waited:g} minutes")

    def _next(self, place: Place) -> Place | None:
        trial = next(self._waiting, None)
        if trial is None:
            return None
        place.trial = trial
        place.version += 1
        place.generator = random.Random(f"{self._seed}/{trial.number}")
        self._register(place)
        return place
