"""Request-response logging of an endpoint: the rows that the service writes to BigQuery, handed to a sink.

An endpoint whose ``predict_request_response_logging_config`` is enabled logs the sampled share of Predict and RawPredict
calls (documentation: "Online inference logging"; the columns are those of its table).
"""

from __future__ import annotations

import itertools
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vertex_emulator.clock import Clock
    from vertex_emulator.messages import Message

RequestSink = Callable[[dict[str, Any]], None]
"""Takes one row; called from many threads at once, on the path of the prediction."""
_KEPT = 10_000
"""Rows that are kept for whoever asks; the sink gets all."""
logger = logging.getLogger(__name__)


class RequestLog:
    """Decides which predictions are logged, and makes their rows."""

    def __init__(self, sink: RequestSink | None, clock: Clock, seed: int) -> None:
        self._sink = sink
        self._clock = clock
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._rates: dict[str, float] = {}
        self._rows: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def follow(self, endpoint: Message) -> None:
        """Take over an endpoint's logging configuration; called after every change of an endpoint."""
        config = endpoint.predict_request_response_logging_config
        rates = dict(self._rates)
        rates[endpoint.name] = config.sampling_rate if config.enabled else 0.0
        self._rates = rates

    def kept(self) -> list[dict[str, Any]]:
        """Return the newest rows, oldest first."""
        return list(self._rows)

    def is_logged(self, endpoint: str) -> bool:
        """Whether some of an endpoint's predictions are logged."""
        return self._rates.get(endpoint, 0.0) > 0

    def record(self, endpoint: str, deployed_model_id: str, request: bytes, response: bytes) -> None:
        """Log one prediction, if it is sampled."""
        rate = self._rates.get(endpoint, 0.0)
        if rate <= 0 or self._random.random() >= rate:
            return
        row = {
            "endpoint": endpoint.rpartition("/")[2],
            "deployed_model_id": deployed_model_id,
            "logging_time": self._clock().isoformat().replace("+00:00", "Z"),
            "request_id": next(self._numbers),
            "request_payload": [request.decode(errors="replace")],
            "response_payload": [response.decode(errors="replace")],
        }
        self._rows.append(row)
        if self._sink is None:
            return
        try:
            self._sink(row)
        except Exception:  # logging never fails a prediction
            logger.exception("The request log's sink failed for request %s", row["request_id"])
