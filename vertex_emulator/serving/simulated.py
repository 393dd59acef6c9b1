"""A simulated model: it waits as long as a model would, fails as often, and predicts numbers of a declared distribution."""

from __future__ import annotations

import json
import random
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

from vertex_emulator.serving.contract import Answer
from vertex_emulator.serving.profile import Profile, strain

_NORMAL = NormalDist()


class SimulatedServer:
    """Stands in for a container whose image has no command; ``profile`` is asked at every request."""

    def __init__(self, profile: Callable[[], Profile], seed: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self._profile = profile
        self._random = random.Random(seed)
        self._seed = seed
        self._sleep = sleep

    @property
    def capacity_rps(self) -> float:
        """Requests per real second that one replica carries."""
        return self._profile().capacity_rps

    def start(self) -> None:
        """Nothing has to be started."""

    def is_ready(self) -> bool:
        """It is healthy at once."""
        return True

    def handle(self, body: bytes, content_type: str, utilisation: float) -> Answer:
        """Answer after the time that the load makes it take."""
        try:
            instances = json.loads(body)["instances"]
        except (ValueError, KeyError, TypeError):
            return _error(400, 'The request needs {"instances": [...]}.')
        answer = self.predict(instances, utilisation)
        if answer.predictions is None:
            return answer
        return Answer(answer.status, json.dumps({"predictions": answer.predictions}).encode())

    def predict(self, instances: Sequence[Any], utilisation: float) -> Answer:
        """The same without JSON around it."""
        profile = self._profile()
        under_load = strain(utilisation)
        if under_load.shed and self._random.random() < under_load.shed:
            return _error(503, "The server is overloaded.")
        if profile.latency_ms > 0:  # a sleep of no time takes time
            spread = self._random.lognormvariate(0, profile.latency_spread) if profile.latency_spread else 1.0
            self._sleep(profile.latency_ms * spread * under_load.latency_factor / 1000)
        if profile.error_rate and self._random.random() < profile.error_rate:
            return _error(500, "The model failed.")
        return Answer(200, b"", predictions=[self._predict(instance, profile) for instance in instances])

    def supervise(self) -> None:
        """It never crashes."""

    def stop(self) -> None:
        """Nothing is held."""

    def _predict(self, instance: Any, profile: Profile) -> Mapping[str, float]:
        """Predict from the instance's own quantile, so that two versions with the same outputs agree on it."""
        if not profile.outputs:
            return {}
        key = zlib.crc32(repr(_in_order(instance)).encode())
        prediction: dict[str, float] = {}
        for name, output in profile.outputs.items():
            quantile = (zlib.crc32(name.encode(), key) + 0.5) / 2**32
            own = random.Random(f"{self._seed}/{key}/{name}").gauss(0, profile.noise) if profile.noise else 0.0
            value = output.mean + output.sd * (_NORMAL.inv_cdf(quantile) + own)
            value = min(max(value, output.low), output.high)
            prediction[name] = round(value) if output.whole else round(value, 6)
        return prediction


def _in_order(instance: Any) -> Any:
    """An instance without the order in which its keys were written."""
    if isinstance(instance, dict):
        return sorted((name, _in_order(value)) for name, value in instance.items())
    return [_in_order(value) for value in instance] if isinstance(instance, list) else instance


def _error(status: int, message: str) -> Answer:
    return Answer(status, json.dumps({"error": message}).encode())
