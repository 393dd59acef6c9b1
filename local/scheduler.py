"""Cloud Scheduler on one machine: publishes a message per job and interval, on our (perhaps compressed) time.

As in production the message carries data (the Functions Framework refuses messages without), and names its job twice: in the
data for the handler, in an attribute for the subscription's filter. Ticks fall on whole multiples of the interval, so
that two runs, or a restart, tick at the same moments. A tick that was missed is skipped: handlers look at the present
state, and ten ticks at once would tell them nothing that one does not.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from google.api_core.exceptions import GoogleAPICallError

from local.pubsub.clients import publisher_at
from shared.clock import Clock, now, wall_seconds

SCHEMA = "tick/v1"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PUBLISH_SECONDS = 5.0
_STOP_SECONDS = 10.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is published how often."""

    name: str
    every: timedelta
    """Of our time; on a compressed clock a minute passes in a second or less."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the message's data."""

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise ValueError(f"Job {self.name!r}: every is {self.every}; it must be longer than nothing.")

    def due_after(self, moment: datetime) -> datetime:
        """The first tick after a moment."""
        return _EPOCH + ((moment - _EPOCH) // self.every + 1) * self.every

    def message(self) -> dict[str, object]:
        """What is published at each tick."""
        data = {**self.data, "schema": SCHEMA, "job": self.name}
        return {"data": json.dumps(data).encode(), "attributes": {"job": self.name}}


class Scheduler:
    """Publishes the ticks of all jobs to one topic from a thread of its own; a context manager.

    ``address`` is the Pub/Sub server's host:port, ``topic`` a full name. A topic that is missing, or a server that is away,
    costs the tick and a line in the log, not the thread.
    """

    def __init__(self, address: str, topic: str, jobs: Sequence[Job], clock: Clock = now) -> None:
        self._topic = topic
        self._clock = clock
        self._publisher = publisher_at(address)
        self._jobs = {job.name: job for job in jobs}
        self._due = {job.name: job.due_after(clock()) for job in jobs}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def publish(self, job: Job) -> bool:
        """Publish one tick now, also outside the schedule; whether it was taken."""
        try:
            self._publisher.publish(topic=self._topic, messages=[job.message()], timeout=_PUBLISH_SECONDS, retry=None)
        except GoogleAPICallError as error:
            _LOG.warning("the tick of %s was not published to %s: %s", job.name, self._topic, error)
            return False
        return True

    def tick(self) -> list[str]:
        """Publish the jobs that are due, each once however late it is; their names."""
        moment = self._clock()
        ready = [name for name, due in self._due.items() if due <= moment]
        for name in ready:
            self._due[name] = self._jobs[name].due_after(moment)
            self.publish(self._jobs[name])
        return ready

    def stop(self) -> None:
        """End the thread and the connection."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        self._publisher.transport.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.tick()
            self._stopped.wait(self._seconds_to_next())

    def _seconds_to_next(self) -> float | None:
        """Wall seconds to the next tick; none without a job."""
        if not self._due:
            return None
        return max(0.0, wall_seconds((min(self._due.values()) - self._clock()).total_seconds()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
