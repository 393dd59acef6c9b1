"""The cloud of the soak: a minute at a time, events until none is left, and what was served put where Cloud Monitoring would have it."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bench.trial import BenchError
from local.draws import TOKEN_EDGES, Served
from local.pubsub.message import Message, push_body
from local.stepped import NUMBER, PROJECT, REGION, Apps, Servers
from shared import topics
from shared.events.schedule import Tick, tick_message
from shared.rollout.observed import Endpoint
from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.distribution import Buckets

LISTENERS: Mapping[str, str] = {
    topics.TRAINING_COMPLETED: "register_model",
    topics.MODEL_UPLOADED: "start_rollout",
    topics.ALERT_FIRED: "roll_back",
    topics.ROLLOUT_DUE: "advance_rollout",
    topics.ROLLOUT_CHANGED: "notify",
}
"""Who hears of each topic; ``schedule`` is the minute itself."""
JUST_AFTER, MIDDLE = timedelta(seconds=5), timedelta(seconds=30)
"""When in its minute a tick comes, and when what the minute served is reported."""
SEEN_AFTER = 180.0
"""Seconds after its minute at which a measurement of Vertex AI can be read; the policy's lag of 4 minutes bears with it."""
TOKENS = "custom.googleapis.com/vertex_rollouts/tokens"
ROUNDS = 30
_ONLINE = "aiplatform.googleapis.com/prediction/online/"


@dataclass(frozen=True)
class TickCost:
    """What one tick asked of Google, and how many rollouts it had before it."""

    judged: int
    calls: int
    """Of Vertex AI and Cloud Monitoring; what it publishes is apart."""


class SoakCloud(Servers):
    """Local servers, the real functions, and a clock that goes from minute to minute; a context manager by ``running``."""

    def __init__(self, apps: Apps, folder: Path) -> None:
        super().__init__(apps, folder, SEEN_AFTER, {TOKENS: Buckets.explicit(TOKEN_EDGES)})
        self.now += JUST_AFTER
        self._again: list[tuple[str, Message]] = []
        self.refused = 0
        """Events that were not acknowledged and came again a minute later."""

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator[SoakCloud]:
        """The cloud, found by the functions; what they log is kept in ``folder``."""
        apps = Apps()
        before = dict(os.environ)
        log = (folder / "functions.log").open("w")
        try:
            made = cls(apps, folder)
            os.environ.update(made.environment())
            made.open()
            try:
                with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                    yield made
            finally:
                made.close()
        finally:
            for name in set(os.environ) - set(before):
                del os.environ[name]
            os.environ.update(before)
            apps.forget()
            log.close()

    def publish(self, topic: str, data: bytes) -> None:
        """An event from outside; heard in the next minute."""
        self._again.append((LISTENERS[topic], Message(f"s{next(self._ids)}", self.now, data, {})))

    def end_minute(self, judged: int) -> TickCost:
        """The minute ends; a tick comes, then all that follows from it."""
        self.advance(seconds=60 - (MIDDLE - JUST_AFTER).seconds)
        again, self._again = self._again, []
        self._push(again)
        before = self._called()
        status = self.wake("assess_rollouts", tick_message(Tick("assess_rollouts")))
        if status != 200:
            raise BenchError(f"a tick was answered with {status}; the functions' log says why")
        tick = TickCost(judged, self._called() - before)
        self.settle()
        return tick

    def begin_minute(self) -> dict[str, Endpoint]:
        """To the middle of the minute, and how the traffic is split in it, by endpoint."""
        self.now += MIDDLE - JUST_AFTER
        return {found.ref.endpoint: found for found in self.world.endpoints.list(PROJECT, REGION)}

    def report(self, endpoint: str, deployed: str, served: Served) -> None:
        """Put what one arm served in this minute into Cloud Monitoring, value by value."""
        sink = self.monitoring.sink
        resource = Resource(
            "aiplatform.googleapis.com/Endpoint",
            {"resource_container": NUMBER, "location": REGION, "endpoint_id": endpoint},
        )
        for code, count in (("2xx", served.requests - served.errors), ("5xx", served.errors)):
            if count:
                labels = {"deployed_model_id": deployed, "response_code": code, "spot": "false"}
                sink.add(f"{_ONLINE}response_count", labels, resource, count)
        labels = {"deployed_model_id": deployed, "latency_type": "total", "spot": "false"}
        sink.observe_all(f"{_ONLINE}prediction_latencies", labels, resource, served.latencies)
        task = Resource("generic_task", {"project_id": PROJECT, "location": REGION, "job": "serving"})
        labels = {"endpoint_id": endpoint, "deployed_model_id": deployed}
        sink.observe_all(TOKENS, labels, task, served.tokens)

    def dead_letters(self) -> list[Message]:
        """What could not be handled at all."""
        return self.published(topics.DEAD_LETTERS)

    def _called(self) -> int:
        calls: Counter[str] = self.counted()
        return sum(n for method, n in calls.items() if not method.startswith("publish:"))

    def settle(self) -> None:
        """All that follows from what was published, without a minute more."""
        for _ in range(ROUNDS):
            waiting = [(function, m) for topic, function in LISTENERS.items() for m in self.published(topic)]
            if not waiting:
                return
            self._push(waiting)
        raise BenchError(f"events did not come to an end in {ROUNDS} rounds")

    def _push(self, messages: list[tuple[str, Message]]) -> None:
        """As Pub/Sub pushes them; what is refused comes again a minute later, as it was."""
        for function, message in messages:
            topic = next(topic for topic, listener in LISTENERS.items() if listener == function)
            body = push_body(message, f"projects/{PROJECT}/subscriptions/{topic}", None)
            if self.post(function, body, f"projects/{PROJECT}/topics/{topic}") >= 300:
                self.refused += 1
                self._again.append((function, message))


def minutes_between(began: datetime, ended: datetime) -> float:
    return (ended - began).total_seconds() / 60
