"""The container's server: health, predict, and a clean end.

Runs as ``python -m infra.serving.server``, and as ``python server.py`` in the image, where this folder is all there is.
It listens before the model is loaded, so that Vertex AI's health checks are answered (503) from the start.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

if not __package__:  # a plain script: the folder that holds it is the package (PEP 366)
    _folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - before anything else is imported
    sys.path.insert(0, os.path.dirname(_folder))  # noqa: PTH120
    __package__ = os.path.basename(_folder)  # noqa: PTH119
    __import__(__package__)

from .artifact import ArtifactError, fetch, is_remote
from .batching import Batcher
from .contract import Contract, ContractError, Tuning, clock_rate_from, contract_from, tuning_from
from .http11 import HttpServer, Request, Response
from .model import BadRequestError, ModelError, ServedModel, load


class Application:
    """Routes requests to a model that may not be loaded yet."""

    def __init__(self, contract: Contract, tuning: Tuning) -> None:
        self._contract = contract
        self._tuning = tuning
        self._model: ServedModel | None = None
        self._batcher: Batcher | None = None
        self._is_stopping = False

    def serve_model(self, model: ServedModel) -> None:
        """The model is loaded: healthy from here on."""
        tuning = self._tuning
        self._batcher = Batcher(
            model.predict,
            max_instances=tuning.batch_instances,
            wait_ms=tuning.batch_wait_ms,
            concurrency=tuning.model_concurrency,
        )
        self._model = model

    def stop(self) -> None:
        """The end was asked for: no longer healthy, requests in flight are still answered."""
        self._is_stopping = True

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        is_predict_path = request.path == self._contract.predict_route
        is_health_path = request.path == self._contract.health_route  # the documented default is one path for both
        if request.method == "POST" and is_predict_path:
            return await self._predict(request.body)
        if request.method == "GET" and is_health_path:
            return self._health()
        if not (is_predict_path or is_health_path):
            return failure(
                404,
                f"nothing at {request.path!r:.200}: health is at {self._contract.health_route}, predict at {self._contract.predict_route}",
            )
        allowed = [method for method, matches in (("GET", is_health_path), ("POST", is_predict_path)) if matches]
        response = failure(
            405, f"{request.method:.20} is not answered at {request.path:.200}: use {' or '.join(allowed)}"
        )
        return Response(response.status, response.body, {"Allow": ", ".join(allowed)})

    def _health(self) -> Response:
        if self._is_stopping:
            return failure(503, "stopping")
        if self._model is None:
            return failure(503, "the model is loading")
        return Response(200, b'{"status": "healthy"}')

    async def _predict(self, body: bytes) -> Response:
        model, batcher = self._model, self._batcher
        if model is None or batcher is None:
            return failure(503, "the model is loading")
        try:
            instances, parameters = parse_predict(body)
            model.admit(instances, parameters)
            predictions = await batcher.submit(instances, parameters)
        except BadRequestError as error:
            return failure(400, str(error))
        except ModelError as error:
            return failure(500, str(error))
        except Exception as error:  # noqa: BLE001 - whatever the model raises is answered, and the server goes on
            log("ERROR", f"prediction failed: {type(error).__name__}: {error}")
            return failure(500, f"the model failed: {type(error).__name__}: {error}")
        return Response(200, json.dumps({"predictions": predictions}).encode())


def parse_predict(body: bytes) -> tuple[list[Any], Mapping[str, Any]]:
    """The instances and parameters of a predict request, ``{"instances": [...], "parameters": {...}}``."""
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadRequestError('the body must be an object: {"instances": [...]}')
    instances, parameters = content.get("instances"), content.get("parameters")
    if not isinstance(instances, list) or not instances:
        raise BadRequestError("instances: must be a list with at least one instance")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadRequestError("parameters: must be an object or absent")
    return instances, parameters or {}


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def failure(status: int, message: str) -> Response:
    """An answer that says what is wrong."""
    return Response(status, json.dumps({"error": message}).encode())


def log(severity: str, message: str, **fields: object) -> None:
    """One JSON line on standard output, which Cloud Logging reads as a structured entry."""
    print(json.dumps({"severity": severity, "message": message, **fields}), flush=True)


async def serve(contract: Contract, tuning: Tuning, clock_rate: float) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    application = Application(contract, tuning)
    server = HttpServer(application.handle, failure, max_body_bytes=tuning.max_request_bytes)
    try:
        port = await server.start(contract.host, contract.port)
    except OSError as error:
        log("CRITICAL", f"cannot listen on {contract.host}:{contract.port} (AIP_HTTP_PORT): {error}")
        return 1
    log("INFO", "listening", host=contract.host, port=port, deployed_model_id=contract.deployed_model_id)
    loading = asyncio.create_task(_load(contract.storage_uri, clock_rate))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    code = 0
    if loading.done():
        try:
            application.serve_model(model := loading.result())
            log("INFO", "model loaded", kind=model.kind, storage_uri=contract.storage_uri)
            await stopping
        except ArtifactError as error:
            log("CRITICAL", f"the model cannot be loaded: {error}")
            code = 1
    loading.cancel()
    stopping.cancel()
    application.stop()
    cut_off = await server.drain(tuning.grace_seconds)
    log("INFO", "stopped", cut_off=cut_off)
    return code


async def _load(storage_uri: str, clock_rate: float) -> ServedModel:
    directory = await asyncio.to_thread(fetch, storage_uri) if is_remote(storage_uri) else fetch(storage_uri)
    return await load(directory, clock_rate=clock_rate)


def main() -> int:
    """The exit code: 0 after a signal, 1 when the model or the port could not be had, 2 for a wrong environment."""
    try:
        contract, tuning, rate = contract_from(os.environ), tuning_from(os.environ), clock_rate_from(os.environ)
    except ContractError as error:
        log("CRITICAL", str(error))
        return 2
    return asyncio.run(serve(contract, tuning, rate))


if __name__ == "__main__":
    sys.exit(main())
