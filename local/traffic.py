"""The caller's app: a steady stream of predictions through the real Vertex AI client.

Open loop: requests are due at fixed moments whether or not the last one was answered, so a slow model shows as latency and
not as fewer requests. A bounded number of workers sends them; what even they cannot send in time is skipped and counted.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.api_core import exceptions
from google.protobuf import struct_pb2

from local.images import image
from local.tally import OK, Result, Tally, VersionSnapshot
from shared.gapic import lean

DEPLOYED_MODEL_METADATA = "x-vertex-ai-deployed-model-id"
"""Trailing metadata that attributes a failed call, named like the header of RawPredict."""

DEPLOYED_MODEL_TEXT = re.compile(r"deployed_model_id: (\d+)")
"""How Vertex AI names the deployed model in the text of some failures (googleapis/python-aiplatform issue 190). Where
neither is there, the failure is nobody's."""

MAX_LAG = 1.0
"""Wall seconds by which a request may be late before it is skipped."""


class PredictionClient(Protocol):
    """What is used of ``PredictionServiceClient``."""

    @property
    def transport(self) -> Any: ...

    def predict(self, *, endpoint: str, instances: Sequence[struct_pb2.Value], retry: None, timeout: float) -> Any: ...


def connect(address: str) -> PredictionClient:
    """The real client on a plaintext channel, without credentials."""
    lean.import_leanly(lean.VERTEX)
    from google.cloud.aiplatform_v1.services.prediction_service.client import PredictionServiceClient
    from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport

    client: PredictionClient = PredictionServiceClient(
        transport=PredictionServiceGrpcTransport(channel=grpc.insecure_channel(address))
    )
    return client


@dataclass(frozen=True, slots=True)
class TrafficSnapshot:
    """What was sent and what came back, so far."""

    sent: int
    skipped: int
    """Requests that were due while all workers were waiting."""
    callback_failures: int
    """How often ``on_result`` raised."""
    last_problem: str
    """The latest failure in words, "" while there was none."""
    versions: Mapping[str, VersionSnapshot]
    """By deployed model id; under "" the failures that do not say whose they are."""

    @property
    def ok(self) -> int:
        """Requests that were answered."""
        return sum(version.ok for version in self.versions.values())


class Traffic:
    """Sends ``rps`` requests per real second to one endpoint from its start until ``stop``; no failure ends it."""

    def __init__(
        self,
        address: str,
        endpoint_name: str,
        rps: float,
        seed: int,
        on_result: Callable[[Result], None] | None = None,
        *,
        connect: Callable[[str], PredictionClient] = connect,
        instance: Callable[[int, int], Mapping[str, Any]] = image,
        instances_per_request: int = 1,
        workers: int = 8,
        timeout: float = 10.0,
    ) -> None:
        self._endpoint_name = endpoint_name
        self._on_result = on_result
        self._instance = instance
        self._instances_per_request = instances_per_request
        self._timeout = timeout
        self._seed = seed
        self._client = connect(address)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._rps = rps
        self._number = 0
        self._next_due = 0.0
        self._sent = self._skipped = self._callback_failures = 0
        self._last_problem = ""
        self._tallies: dict[str, Tally] = {}
        self._generator = random.Random(seed)
        self._threads = [
            threading.Thread(target=self._work, name=f"traffic-{index}", daemon=True) for index in range(workers)
        ]

    def start(self) -> Traffic:
        """Begin to send."""
        self._next_due = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> TrafficSnapshot:
        """Send no more, wait for the answers that are due, and close the channel."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._client.transport.close()
        return self.snapshot()

    def __enter__(self) -> Traffic:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def set_rate(self, rps: float) -> None:
        """Change the rate from now on; 0 pauses."""
        with self._lock:
            self._rps = rps
            self._next_due = max(self._next_due, time.monotonic())

    def follow(self, endpoint_name: str) -> None:
        """Ask another endpoint from now on."""
        self._endpoint_name = endpoint_name

    def snapshot(self) -> TrafficSnapshot:
        """The counts so far."""
        with self._lock:
            return TrafficSnapshot(
                sent=self._sent,
                skipped=self._skipped,
                callback_failures=self._callback_failures,
                last_problem=self._last_problem,
                versions={name: tally.snapshot() for name, tally in self._tallies.items()},
            )

    def _work(self) -> None:
        while not self._stopping.is_set():
            slot = self._take_slot()
            if slot is None:  # paused
                self._stopping.wait(0.05)
                continue
            number, due = slot
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                return
            self._record(self._send(number))

    def _take_slot(self) -> tuple[int, float] | None:
        """The number of the next request and when it is due."""
        with self._lock:
            now = time.monotonic()
            if self._rps <= 0:
                self._next_due = now
                return None
            if now - self._next_due > MAX_LAG:
                missed = int((now - self._next_due) * self._rps)
                self._skipped += missed
                self._number += missed
                self._next_due = now
            number, due = self._number, self._next_due
            self._number += 1
            self._next_due += 1 / self._rps
            return number, due

    def _send(self, number: int) -> Result:
        first = number * self._instances_per_request
        instances = [
            _value(self._instance(self._seed, first + offset)) for offset in range(self._instances_per_request)
        ]
        started = time.perf_counter()
        try:
            response = self._client.predict(
                endpoint=self._endpoint_name, instances=instances, retry=None, timeout=self._timeout
            )
        except Exception as error:  # noqa: BLE001 - an app that calls a model survives whatever the call raises
            return _failed(error, (time.perf_counter() - started) * 1000)
        return _answered(response, (time.perf_counter() - started) * 1000)

    def _record(self, result: Result) -> None:
        problem = result.detail
        failures = 0
        if self._on_result is not None:
            try:
                self._on_result(result)
            except Exception as error:  # noqa: BLE001 - the listener's fault must not end the traffic
                failures = 1
                problem = f"on_result raised {type(error).__name__}: {error}"
        with self._lock:
            self._sent += 1
            self._callback_failures += failures
            self._last_problem = problem or self._last_problem
            name = result.deployed_model_id
            tally = self._tallies.get(name)
            if tally is None:
                tally = self._tallies[name] = Tally(name)
            tally.add(result, self._generator)


def _value(instance: Mapping[str, Any]) -> struct_pb2.Value:
    value = struct_pb2.Value()
    value.struct_value.update(dict(instance))
    return value


def _answered(response: Any, latency_ms: float) -> Result:
    message = type(response).pb(response)
    return Result(
        code=OK,
        latency_ms=latency_ms,
        deployed_model_id=message.deployed_model_id,
        model=message.model.rpartition("/")[2].partition("@")[0],
        version=message.model_version_id,
        predictions=tuple(_numbers(prediction) for prediction in message.predictions),
    )


def _numbers(prediction: struct_pb2.Value) -> dict[str, float]:
    fields = prediction.struct_value.fields
    return {name: value.number_value for name, value in fields.items() if value.WhichOneof("kind") == "number_value"}


def _failed(error: Exception, latency_ms: float) -> Result:
    code = error.grpc_status_code if isinstance(error, exceptions.GoogleAPICallError) else None
    metadata: dict[str, Any] = {}
    call = getattr(error, "response", None)
    if isinstance(call, grpc.Call):
        metadata = {item[0]: item[1] for item in call.trailing_metadata() or ()}
    named = DEPLOYED_MODEL_TEXT.search(str(error))
    return Result(
        code=code.name if code is not None else type(error).__name__,
        latency_ms=latency_ms,
        deployed_model_id=str(metadata.get(DEPLOYED_MODEL_METADATA) or (named[1] if named else "")),
        detail=str(error),
    )
