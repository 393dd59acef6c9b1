"""PredictionService: Predict and RawPredict, routed by the endpoint's split; what was served becomes metrics.

Nothing here takes the state's lock: routes are immutable and replaced whole.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc
from google.api import httpbody_pb2

from vertex_emulator.errors import DEPLOYED_MODEL_HEADER, ApiError, missing, precondition
from vertex_emulator.messages import raw
from vertex_emulator.metrics import BulkSink, MetricSink, SeriesGroup
from vertex_emulator.names import last_segment
from vertex_emulator.serving.attribution import attribute
from vertex_emulator.serving.contract import Answer, raise_for
from vertex_emulator.serving.values import fill, to_json

if TYPE_CHECKING:
    from vertex_emulator.fleet import Deployment, Fleet
    from vertex_emulator.request_log import RequestLog
    from vertex_emulator.state import State

_RESPONSE = raw("PredictResponse")
_NAMES = 4096
"""Endpoints whose stored names are remembered, by the names by which they are called."""


class Prediction:
    """Serves PredictionService."""

    def __init__(self, state: State, fleet: Fleet, sink: MetricSink, request_log: RequestLog) -> None:
        self._state = state
        self._fleet = fleet
        self._record = _recorder(sink)
        self._request_log = request_log
        self._stored_name = functools.lru_cache(_NAMES)(lambda name: state.projects.resource(name, "endpoints")[0])

    def Predict(self, request: Any) -> Any:
        """Answer instances with predictions, and say which deployed model made them."""
        begun = time.perf_counter()
        deployment = self._route(request.endpoint)
        document: dict[str, Any] = {"instances": [to_json(instance) for instance in request.instances]}
        if request.HasField("parameters"):
            document["parameters"] = to_json(request.parameters)
        predicted = self._predicted(deployment, document, begun)
        response = _RESPONSE()
        response.CopyFrom(deployment.answers_as)
        for prediction in predicted["predictions"]:
            fill(response.predictions.add(), prediction)
        if "metadata" in predicted:
            fill(response.metadata, predicted["metadata"])
        return response

    def RawPredict(self, request: Any) -> tuple[Any, dict[str, str]]:
        """Pass any body on to the model, and return its answer with the headers that name the deployed model."""
        begun = time.perf_counter()
        deployment = self._route(request.endpoint)
        content_type = request.http_body.content_type or "application/json"
        answer = self._ask(deployment, request.http_body.data, content_type, 1, begun)
        raise_for(answer, deployment.id)
        headers = {
            "x-vertex-ai-endpoint-id": last_segment(deployment.endpoint),
            DEPLOYED_MODEL_HEADER: deployment.id,
        }
        return httpbody_pb2.HttpBody(content_type=answer.content_type, data=answer.body), headers

    def StreamRawPredict(self, request: Any) -> tuple[list[Any], dict[str, str]]:
        """As RawPredict, in parts: the model's whole answer is cut at its line ends."""
        whole, headers = self.RawPredict(request)
        lines = whole.data.splitlines(keepends=True) or [b""]
        return [httpbody_pb2.HttpBody(content_type=whole.content_type, data=line) for line in lines], headers

    def Explain(self, request: Any) -> Any:
        """Predict and explain; alone of all predictions it can name a deployed model, which then is asked whatever its share."""
        begun = time.perf_counter()
        deployment = self._named(request.endpoint, request.deployed_model_id)
        if not deployment.can_explain:
            precondition(
                f"DeployedModel {deployment.id} has no explanation_spec: deploy it with one to have it explain."
            )
        document: dict[str, Any] = {"instances": [to_json(instance) for instance in request.instances]}
        if request.HasField("parameters"):
            document["parameters"] = to_json(request.parameters)
        predicted = self._predicted(deployment, document, begun)
        response = raw("ExplainResponse")(deployed_model_id=deployment.id)
        for instance, prediction in zip(document["instances"], predicted["predictions"], strict=False):
            fill(response.predictions.add(), prediction)
            attribute(response.explanations.add(), instance, prediction)
        return response

    def _named(self, endpoint: str, deployed_id: str) -> Deployment:
        if not deployed_id:
            return self._route(endpoint)
        name = self._stored_name(endpoint)
        return self._fleet.find(name, deployed_id) or missing(f"The DeployedModel {deployed_id} of {name}")

    def _predicted(self, deployment: Deployment, document: dict[str, Any], begun: float) -> dict[str, Any]:
        """Ask the model server; returns its answer, which has a list of predictions."""
        server, instances = deployment.in_process, document["instances"]
        if server is not None and not self._request_log.is_logged(deployment.endpoint):
            answer = self._time(deployment, lambda load: server.predict(instances, load), len(instances), begun)
        else:
            body = json.dumps(document).encode()
            answer = self._ask(deployment, body, "application/json", len(instances), begun)
        raise_for(answer, deployment.id)
        if answer.predictions is not None:
            return {"predictions": answer.predictions}
        try:
            predicted = json.loads(answer.body)
            if isinstance(predicted["predictions"], list):
                return dict(predicted)
        except (ValueError, KeyError, TypeError):
            pass
        raise ApiError(
            grpc.StatusCode.INTERNAL,
            f'The model server did not answer {{"predictions": [...]}}: {answer.body[:200]!r}',
        )

    def _route(self, endpoint: str) -> Deployment:
        name = self._stored_name(endpoint)
        route = self._fleet.route(name)
        if route is None:
            missing(f"The Endpoint {endpoint}")
        return route.pick(self._fleet.draw()) or precondition(f"Endpoint {name} doesn't have traffic_split.")

    def _ask(self, deployment: Deployment, body: bytes, content_type: str, instances: int, begun: float) -> Answer:
        server = deployment.server
        answer = self._time(deployment, lambda load: server.handle(body, content_type, load), instances, begun)
        if answer.is_ok:
            self._request_log.record(deployment.endpoint, deployment.id, body, answer.body)
        return answer

    def _time(self, deployment: Deployment, ask: Callable[[float], Answer], instances: int, begun: float) -> Answer:
        """Ask a model server under its present load, and measure that."""
        utilisation = deployment.utilisation_by(deployment.meter.arrive(), self._state.clock)
        asked = time.perf_counter()
        answer = ask(utilisation)
        answered = time.perf_counter()
        deployment.meter.leave(answered - asked)
        model_ms, total_ms = (answered - asked) * 1000, (answered - begun) * 1000
        values = (instances, 1, total_ms, model_ms, total_ms - model_ms, 1)
        self._record(deployment.series(answer.status), values)
        return answer


def _recorder(sink: MetricSink) -> Callable[[SeriesGroup, Sequence[float]], None]:
    """Return how measurements reach a sink: all at once where it can take them so."""
    if isinstance(sink, BulkSink):
        return sink.record

    def one_by_one(group: SeriesGroup, values: Sequence[float]) -> None:
        for (metric, labels, is_count), value in zip(group.members, values, strict=False):
            if is_count:
                sink.add(metric, labels, group.resource, int(value))
            else:
                sink.observe(metric, labels, group.resource, value)

    return one_by_one
