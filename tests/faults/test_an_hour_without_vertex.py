"""Outages as they last in the cloud: Pub/Sub pushes, backs off and gives up by itself, over HTTP, in compressed time."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.cloud import ROUTES
from local.host import ThreadedHost, discover
from local.pubsub.wiring import subscription_of, wire
from rollouts_cli.dead_letters import Choice, DeadLetters
from shared import clock, topics
from shared.rollout.record import Phase
from tests.faults.rig import PROJECT, ROOT, Framework, Rig, incident
from tests.local.helpers import eventually

GENEROUS = 120.0
"""Wall seconds until something has to have happened on a busy machine."""
TICKED = ("assess_rollouts", "find_training_runs", "retire_models")


class Outage:
    """A trial whose time runs by itself from here on; Pub/Sub delivers to the functions over HTTP."""

    def __init__(self, rig: Rig, host: ThreadedHost) -> None:
        self.rig = rig
        rig.now = clock.now()  # what Pub/Sub dates messages by: else none would ever be too old
        rig.world.now = clock.now
        wire(rig.pubsub.address, PROJECT, ROUTES, host.url, topics=topics.ALL)

    def counts(self, function: str) -> Any:
        return self.rig.pubsub.broker.counts()[subscription_of(PROJECT, function)]

    def dead(self) -> list[Any]:
        name = subscription_of(PROJECT, topics.DEAD_LETTERS)
        return [lease.pending.message for lease in self.rig.pubsub.broker.take(name, 1000)]

    def last(self, minutes: float, *, ticking: bool = False) -> None:
        """Wait for so many minutes of compressed time, with a tick of every job in every third if the schedule goes on."""
        until = self.rig.world.now() + timedelta(minutes=minutes)
        due = self.rig.world.now()
        while self.rig.world.now() < until:
            if ticking and self.rig.world.now() >= due:
                due += timedelta(minutes=3)
                self.tick()
            time.sleep(0.01)

    def tick(self) -> None:
        for job in TICKED:
            # With the attribute that the subscriptions filter on.
            self.rig.publish(topics.SCHEDULE, json.dumps({"schema": "tick/v1", "job": job}).encode(), job=job)

    def take_back(self) -> bool:
        return self.rig.shares() == {"1": 100}


@contextmanager
def running(rig: Rig, rate: float) -> Iterator[Outage]:
    with ThreadedHost(discover(ROOT / "functions")) as host:
        os.environ["CLOCK_RATE"] = f"{rate:g}"
        os.environ["CLOCK_ORIGIN"] = f"{time.time():.3f}"
        yield Outage(rig, host)
        rig.pubsub.stop()  # before the host: nothing must be pushed to nobody


@pytest.fixture
def trial(framework: Framework, tmp_path: Path) -> Iterator[Rig]:
    with Rig(framework, tmp_path) as rig:
        rig.now = datetime.now(UTC) - timedelta(hours=2)
        rig.begin_trial()
        rig.after(6)
        yield rig


def test_an_hour_without_vertex_delays_a_rollback_and_loses_nothing(trial: Rig) -> None:
    with running(trial, 600.0) as outage:
        trial.emulator.faults.fail("*", times=None)
        trial.publish(topics.ALERT_FIRED, incident(trial.world.now()))
        outage.last(60, ticking=True)
        refused = outage.counts("roll_back")["nacked"]
        assert 5 < refused < 100, "it was tried again and again, and not given up"
        trial.emulator.faults.clear()
        eventually(outage.take_back, GENEROUS)
        eventually(lambda: trial.rollout("2").phase is Phase.ROLLED_BACK, GENEROUS)
        eventually(lambda: outage.counts("roll_back")["acknowledged"] == 1, GENEROUS)
        assert outage.dead() == []
        assert [entry.rollout for entry in trial.ledger("roll_back")] == [trial.rollout("2").id]


def test_an_hour_without_the_store_leaves_no_dead_letters_and_the_rollback_is_written_down_after_it(trial: Rig) -> None:
    with running(trial, 600.0) as outage:
        folder = trial.store_path.parent
        aside = folder.rename(folder.with_name("aside"))
        trial.publish(topics.ALERT_FIRED, incident(trial.world.now()))
        eventually(outage.take_back, GENEROUS)  # it needs nothing but Vertex AI
        outage.last(60, ticking=True)
        aside.rename(folder)
        eventually(lambda: trial.rollout("2").phase is Phase.ROLLED_BACK, GENEROUS)
        outage.last(15)  # until ticks and hints of the outage are too old
        assert outage.dead() == []
        assert len(trial.ledger("roll_back")) == 1


def test_what_outlasts_every_attempt_is_kept_and_redriven(trial: Rig) -> None:
    with running(trial, 6000.0) as outage:
        trial.emulator.faults.fail("*", times=None)
        trial.publish(topics.ALERT_FIRED, incident(trial.world.now()))
        eventually(lambda: outage.counts(topics.DEAD_LETTERS)["published"] == 1, GENEROUS)
        assert outage.counts("roll_back")["nacked"] == ROUTES["roll_back"].attempts == 100
        outage.last(30)
        assert outage.counts("roll_back")["delivered"] == 100, "and no further"
        trial.emulator.faults.clear()
        letters = DeadLetters(PROJECT)
        ((done),) = letters.redrive(Choice(function="roll_back"), 10)
        letters.close()
        assert not done.why_not
        eventually(outage.take_back, GENEROUS)


def test_a_poison_message_costs_each_function_one_delivery(rig: Rig) -> None:
    poison = (b"nonsense", b"\xff", b"[]", b'{"schema": "no-such/v1"}')
    with running(rig, 6000.0) as outage:
        for function, route in ROUTES.items():
            for data in poison:
                rig.publish(route.topic, data, job=function)
        many = len(poison) * len(ROUTES)
        eventually(lambda: outage.counts(topics.DEAD_LETTERS)["published"] == many, GENEROUS)
        outage.last(30)
        assert {function: outage.counts(function)["delivered"] for function in ROUTES} == dict.fromkeys(ROUTES, 4)
        assert Counter(message.attributes["function"] for message in outage.dead()) == dict.fromkeys(ROUTES, 4)
