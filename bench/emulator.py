"""The emulator of Vertex AI: calls per second beside a server that does nothing, its start, and long listings.

Both servers are processes of their own and are asked in turns, so that a busy machine is busy for both. The server that does nothing
answers the same bytes. Models that predict at once stand behind Predict: what is measured is the emulator's part.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.cloud.aiplatform_v1 import types
from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport
from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport

from bench.emulator_calls import METHODS, WORKERS, answer, calls_per_second
from bench.numbers import table
from bench.trial import BenchError
from vertex_emulator import control

PARENT = "projects/local-project/locations/us-central1"
STORED = "projects/123456789012/locations/us-central1"
ENDPOINT = f"{PARENT}/endpoints/serving"
_AT_ONCE = dict.fromkeys(("upload", "create_endpoint", "deploy", "undeploy", "mutate", "delete"), 0)
_IDLE_MODEL = {"latency_ms": 0, "latency_spread": 0, "capacity_rps": 1e9}
_START = """
import json, sys, time
from pathlib import Path
from vertex_emulator.stack import LocalVertex
began = time.perf_counter()
local = LocalVertex(certificates=Path(sys.argv[1])).start()
print(time.perf_counter() - began)
local.stop()
"""


@dataclass(frozen=True)
class Speed:
    """Calls of one method per second."""

    method: str
    emulator: float
    idle: float
    """Of the server that does nothing."""
    ratio: float
    """The median of the rounds' ratios."""


@dataclass(frozen=True)
class Listing:
    """Seconds per page of a long list."""

    models: int
    versions: int
    pages: int
    first: float
    """The median of the first tenth of the pages."""
    last: float


@dataclass(frozen=True)
class Results:
    """All that was measured."""

    speeds: tuple[Speed, ...]
    start: float
    """Seconds from the end of the imports to the first answer possible: gRPC, TLS with a new certificate, and REST."""
    listing: Listing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own settings."""
    parser.add_argument("--rounds", type=int, default=7, help="per method; the median counts")
    parser.add_argument("--seconds", type=float, default=1.0, help="per round and server")
    parser.add_argument("--clients", type=int, default=4, help="that call at the same time")
    parser.add_argument("--models", type=int, default=10_000, help="to be listed, with five versions each")


def run(options: argparse.Namespace) -> Results:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        config = folder / "config.json"
        config.write_text(
            json.dumps({"durations": _AT_ONCE, "workers": WORKERS, "simulated": {"sim/idle": _IDLE_MODEL}})
        )
        with _emulator(config) as address:
            _serve_a_model(address)
            requests = _requests()
            answers = {f: answer(address, f, request) for f, request in requests.items()}
            with _idle(answers) as idle:
                speeds = tuple(_speed(f, address, idle, requests[f], options) for f in METHODS)
        with _emulator(config) as address:
            listing = _list(address, options.models, versions=5)
        return Results(speeds, _start(folder), listing)


def _speed(name: str, emulator: str, idle: str, request: bytes, options: argparse.Namespace) -> Speed:
    rounds = []
    for _ in range(max(1, options.rounds) + 1):
        pair = [calls_per_second(a, name, request, options.clients, options.seconds) for a in (emulator, idle)]
        rounds.append(pair)
    rounds = rounds[1:]  # the first warms both up
    ratio = statistics.median(ours / theirs for ours, theirs in rounds)
    medians = [statistics.median(one) for one in zip(*rounds, strict=True)]
    return Speed(METHODS[name].rpartition("/")[2], medians[0], medians[1], ratio)


def _start(folder: Path) -> float:
    seconds = []
    for attempt in range(3):
        command = [sys.executable, "-c", _START, str(folder / f"certificates-{attempt}")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the emulator did not start: {done.stderr}")
        seconds.append(float(done.stdout))
    return statistics.median(seconds)


def _list(address: str, models: int, versions: int) -> Listing:
    control.call(address, "LoadState", {"state": _many(address, models, versions)})
    seconds: list[float] = []
    token = ""
    with grpc.insecure_channel(address) as channel:
        client = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        while token or not seconds:
            request = types.ListModelsRequest(parent=PARENT, page_size=100, page_token=token)
            began = time.perf_counter()
            found = client.list_models(request)._response
            seconds.append(time.perf_counter() - began)
            token = found.next_page_token
    if len(seconds) != -(-models // 100):
        raise BenchError(f"{models} models were listed in {len(seconds)} pages of 100")
    tenth = max(1, len(seconds) // 10)
    first, last = (statistics.median(part) for part in (seconds[:tenth], seconds[-tenth:]))
    return Listing(models, versions, len(seconds), first, last)


def _many(address: str, models: int, versions: int) -> dict[str, Any]:
    """A state with so many models, made from the state of nothing."""
    state: dict[str, Any] = control.call(address, "SaveState", {})["state"]
    for number in range(models):
        name = f"{STORED}/models/model-{number:05d}"
        made = {}
        for version in range(1, versions + 1):
            aliases = ["default"] if version == versions else []
            message = types.Model(name=name, display_name=name, version_id=str(version), version_aliases=aliases)
            data = base64.b64encode(types.Model.serialize(message)).decode()
            made[str(version)] = {"type": "google.cloud.aiplatform.v1.Model", "data": data}
        at = state["time"]
        state["models"].append(
            {"name": name, "display_name": f"Model {number}", "description": "", "create_time": at, "update_time": at}
            | {"labels": {"team": "bench"}, "versions": made, "newest": versions, "evaluations": {}}
        )
    return state


def _serve_a_model(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        models = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        endpoints = EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel))
        model = {"display_name": "Idle", "container_spec": {"image_uri": "sim/idle"}}
        models.upload_model({"parent": PARENT, "model_id": "idle", "model": model}).result(timeout=10)
        endpoint = {"display_name": "Serving"}
        endpoints.create_endpoint({"parent": PARENT, "endpoint_id": "serving", "endpoint": endpoint}).result(timeout=10)
        resources = {"machine_spec": {"machine_type": "n1-standard-4"}, "min_replica_count": 1}
        deployed = {"model": f"{PARENT}/models/idle", "dedicated_resources": resources}
        request = {"endpoint": ENDPOINT, "deployed_model": deployed, "traffic_split": {"0": 100}}
        endpoints.deploy_model(request).result(timeout=10)


def _requests() -> dict[str, bytes]:
    predict = types.PredictRequest.pb()(endpoint=ENDPOINT)
    predict.instances.add().struct_value.update({"x": 1})
    update = types.UpdateEndpointRequest.pb()(endpoint={"name": ENDPOINT, "labels": {"team": "bench"}})
    update.update_mask.paths.append("labels")
    asked = {
        "get": types.GetEndpointRequest.pb()(name=ENDPOINT),
        "list": types.ListEndpointsRequest.pb()(parent=PARENT),
        "update": update,
        "model": types.GetModelRequest.pb()(name=f"{PARENT}/models/idle"),
        "predict": predict,
    }
    return {name: request.SerializeToString() for name, request in asked.items()}


@contextmanager
def _emulator(config: Path) -> Iterator[str]:
    with _process("vertex_emulator", "--config", str(config)) as process:
        lines = dict(line.partition("=")[::2] for line in iter(process.stdout.readline, "# Ready.\n") if line)
        yield lines["VERTEX_EMULATOR_HOST"].strip()


@contextmanager
def _idle(answers: dict[str, bytes]) -> Iterator[str]:
    given = [f"--{name}={base64.b64encode(data).decode()}" for name, data in answers.items()]
    with _process("bench.idle_server", *given) as process:
        yield process.stdout.readline().strip()


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[Any]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


def show(results: Results) -> str:
    """The numbers as tables."""
    rows = [(s.method, f"{s.emulator:.0f}", f"{s.idle:.0f}", f"{s.ratio:.2f}") for s in results.speeds]
    speeds = table(("calls per second", "emulator", "does nothing", "ratio"), rows)
    listing = results.listing
    what = f"{listing.models} models with {listing.versions} versions each, {listing.pages} pages"
    pages = (
        f"{what}: {listing.first * 1000:.1f} ms for one of the first, {listing.last * 1000:.1f} ms for one of the last"
    )
    return f"{speeds}\n\nstart after imports: {results.start:.2f} s\n{pages}"


def as_json(results: Results) -> Any:
    """The same for programs."""
    return {
        "speeds": [
            {"method": s.method, "emulator": round(s.emulator), "idle": round(s.idle), "ratio": round(s.ratio, 3)}
            for s in results.speeds
        ],
        "start_seconds": round(results.start, 3),
        "pages": results.listing.pages,
        "first_page_ms": round(results.listing.first * 1000, 2),
        "last_page_ms": round(results.listing.last * 1000, 2),
    }
