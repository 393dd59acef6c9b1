"""A caller that publishes a sample of what it asks and is answered, on ``prediction-logged``: what a shadow needs of it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from google.protobuf import json_format, struct_pb2

from local.images import image
from local.pubsub.clients import publisher_at
from local.traffic import connect
from shared import clock, topics
from shared.events.prediction import PredictionLogged, prediction_logged_message

MOST_A_SECOND = 25.0
"""Of the wall clock: more would measure this machine."""


class Sample:
    """Asks one endpoint a question every now and then, from its start until ``stop``, and publishes the answer."""

    def __init__(self, vertex: str, pubsub: str, endpoint: str, seed: int, every: timedelta) -> None:
        self._client = connect(vertex)
        self._pubsub, self._endpoint, self._seed = pubsub, endpoint, seed
        _, self._project, _, self._region, _, self._id = endpoint.split("/")
        self._pause = max(clock.wall_seconds(every.total_seconds()), 1 / MOST_A_SECOND)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sample", daemon=True)
        self.published = 0

    def start(self) -> Sample:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.transport.close()

    def _run(self) -> None:
        with publisher_at(self._pubsub) as publisher:
            number = 0
            while not self._stopping.wait(self._pause):
                number += 1
                self._ask(publisher, number)

    def _ask(self, publisher: Any, number: int) -> None:
        asked = image(self._seed + 1_000_000, number)
        instance = json_format.ParseDict(asked, struct_pb2.Value())
        at = clock.now()
        try:
            reply = self._client.predict(endpoint=self._endpoint, instances=[instance], retry=None, timeout=10.0)
        except Exception:  # noqa: BLE001 - an app that calls a model survives whatever the call raises
            return
        answers = [json_format.MessageToDict(p) for p in type(reply).pb(reply).predictions]
        logged = PredictionLogged(
            self._region, self._id, f"sample-{number}", at, reply.deployed_model_id, (asked,), tuple(answers)
        )
        topic = f"projects/{self._project}/topics/{topics.PREDICTION_LOGGED}"
        publisher.publish(topic=topic, messages=[{"data": prediction_logged_message(logged)}])
        self.published += 1
