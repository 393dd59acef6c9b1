"""The schedule, on a clock that the test turns."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from local.pubsub import PubsubServer
from local.scheduler import Job, Scheduler
from shared.events.schedule import SCHEMA
from tests.local.cloud import Cloud
from tests.local.helpers import eventually

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        (START, datetime(2026, 1, 1, 12, 1, tzinfo=UTC)),
        (START.replace(second=0), datetime(2026, 1, 1, 12, 1, tzinfo=UTC)),
        (START.replace(second=59), datetime(2026, 1, 1, 12, 1, tzinfo=UTC)),
    ],
)
def test_ticks_fall_on_whole_multiples_of_the_interval(moment: datetime, due: datetime) -> None:
    assert Job("assess", MINUTE).due_after(moment) == due


def test_a_job_without_an_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="'assess'"):
        Job("assess", timedelta(0))


def test_a_tick_carries_data_and_names_its_job_for_the_filter(cloud: Cloud, server: PubsubServer) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic, filter='attributes.job = "assess"')
    clock = Clock()
    with_extra = Job("assess", MINUTE, {"window": 5})
    scheduler = Scheduler(server.address, topic, [with_extra, Job("audit", MINUTE)], clock)
    clock.now += MINUTE
    assert scheduler.tick() == ["assess", "audit"]
    (received,) = cloud.pull_now(subscription)
    assert json.loads(received.message.data) == {"schema": SCHEMA, "job": "assess", "window": 5}
    assert dict(received.message.attributes) == {"job": "assess"}
    scheduler.stop()


def test_missed_ticks_are_skipped(cloud: Cloud, server: PubsubServer) -> None:
    topic = cloud.topic()
    clock = Clock()
    scheduler = Scheduler(server.address, topic, [Job("assess", MINUTE), Job("audit", 60 * MINUTE)], clock)
    assert scheduler.tick() == []
    clock.now += 10 * MINUTE
    assert scheduler.tick() == ["assess"]
    assert scheduler.tick() == []
    clock.now += MINUTE
    assert scheduler.tick() == ["assess"]
    assert server.broker.counts()[topic]["published"] == 2
    scheduler.stop()


def test_the_thread_ticks_on_compressed_time_and_survives_a_missing_topic(
    cloud: Cloud, server: PubsubServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CLOCK_ORIGIN", "1700000000")
    monkeypatch.setenv("CLOCK_RATE", "1200")
    with Scheduler(server.address, "projects/proj-1/topics/later", [Job("assess", MINUTE)]):
        eventually(lambda: "the tick of assess was not published" in caplog.text)
        topic = cloud.topic("later")
        eventually(lambda: server.broker.counts()[topic]["published"] >= 3)


def test_a_scheduler_without_jobs_stops_too(server: PubsubServer) -> None:
    with Scheduler(server.address, "projects/proj-1/topics/idle", []) as idle:
        assert idle.tick() == []
