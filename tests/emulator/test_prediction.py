"""Predictions follow the split, say who made them, and become metrics."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.api_core import exceptions
from google.cloud.aiplatform_v1.types import RawPredictRequest

from tests.emulator.conftest import STORED, MakeVertex, Vertex
from vertex_emulator.errors import ApiError
from vertex_emulator.serving.contract import Answer, raise_for
from vertex_emulator.serving.profile import Profile

FAST: Any = {
    "container_spec": {
        "image_uri": "sim/model",
        "env": [{"name": "SIM_LATENCY_MS", "value": "0"}, {"name": "SIM_CAPACITY_RPS", "value": "1000000"}],
    }
}


def test_an_endpoint_without_a_split_refuses_predictions_in_the_words_of_the_service(vertex: Vertex) -> None:
    vertex.upload()
    endpoint = vertex.endpoint()
    vertex.deploy(endpoint, "11")
    with pytest.raises(exceptions.FailedPrecondition, match=r"Endpoint .* doesn't have traffic_split\."):
        vertex.predict(endpoint)


def test_an_endpoint_that_does_not_exist_is_not_found(vertex: Vertex) -> None:
    with pytest.raises(exceptions.NotFound):
        vertex.predict(f"{STORED}/endpoints/nowhere")


def test_a_response_names_the_deployed_model_the_model_and_the_version(vertex: Vertex, serving: str) -> None:
    response = vertex.predict(serving, {"x": 1}, {"x": 2})
    assert (response.deployed_model_id, response.model_version_id) == ("11", "1")
    assert response.model == f"{STORED}/models/relevance"
    assert len(response.predictions) == 2
    assert 0 <= response.predictions[0]["score"] <= 1


def test_traffic_follows_the_split_and_the_seed_repeats_it(make_vertex: MakeVertex) -> None:
    counts = []
    for _ in range(2):
        vertex = make_vertex(seed=7)
        vertex.upload(**FAST)
        endpoint = vertex.endpoint()
        vertex.deploy(endpoint, "11")
        vertex.deploy(endpoint, "22")
        vertex.split(endpoint, {"11": 90, "22": 10})
        counts.append(Counter(vertex.predict(endpoint).deployed_model_id for _ in range(300)))
    assert counts[0] == counts[1]
    assert 15 <= counts[0]["22"] <= 50


def test_a_new_split_holds_for_the_next_request(vertex: Vertex, serving: str) -> None:
    vertex.deploy(serving, "22")
    vertex.split(serving, {"22": 100})
    assert {vertex.predict(serving).deployed_model_id for _ in range(10)} == {"22"}


def test_what_was_served_is_reported_by_deployed_model(vertex: Vertex, serving: str) -> None:
    vertex.predict(serving, {"x": 1}, {"x": 2}, {"x": 3})
    vertex.emulator.profiles.override("relevance", Profile(latency_ms=1, error_rate=1))
    with pytest.raises(exceptions.InternalServerError):
        vertex.predict(serving)
    sink = vertex.sink
    assert sink.of("prediction_count", deployed_model_id="11") == [3, 1]  # instances, not requests
    assert sink.of("response_count", response_code="2xx") == [1]
    assert sink.of("response_count", response_code="5xx") == [1]
    assert sink.of("error_count") == [1]
    total, model, overhead = (
        sink.of("prediction_latencies", latency_type=kind) for kind in ("total", "model", "overhead")
    )
    assert total[0] == pytest.approx(model[0] + overhead[0])
    resource = sink.seen[-1][2]
    assert resource.type == "aiplatform.googleapis.com/Endpoint"
    assert resource.labels == {
        "resource_container": "123456789012",
        "location": "us-central1",
        "endpoint_id": "serving",
    }


def test_versions_with_the_same_declared_quality_agree_and_a_shifted_one_does_not(vertex: Vertex) -> None:
    def env(mean: int) -> Any:
        outputs = json.dumps({"tokens": {"mean": mean, "sd": 40, "low": 64, "high": 400, "whole": True}})
        variables = [{"name": "SIM_LATENCY_MS", "value": "0"}, {"name": "SIM_OUTPUTS", "value": outputs}]
        return {"container_spec": {"image_uri": "sim/arr-coc", "env": variables}}

    first = vertex.upload(**env(180)).model
    vertex.upload(parent_model=first, **env(180))
    vertex.upload(parent_model=first, **env(300))
    endpoint = vertex.endpoint()
    answers = []
    for number in (1, 2, 3):
        vertex.deploy(endpoint, str(number), f"relevance@{number}")
        vertex.split(endpoint, {str(number): 100})
        predictions = vertex.predict(endpoint, *({"image": i} for i in range(40))).predictions
        answers.append([prediction["tokens"] for prediction in predictions])
    assert answers[0] == answers[1]
    assert sum(answers[2]) - sum(answers[0]) == pytest.approx(40 * 120, rel=0.15)
    assert all(64 <= tokens <= 400 for tokens in answers[2])


def test_raw_predict_returns_the_body_and_names_the_deployed_model_in_headers(vertex: Vertex, serving: str) -> None:
    body = json.dumps({"instances": [1, 2]}).encode()
    request = {"endpoint": serving, "http_body": {"content_type": "application/json", "data": body}}
    response = vertex.predictions.raw_predict(request)
    assert len(json.loads(response.data)["predictions"]) == 2
    stub = vertex.channel.unary_unary(
        "/google.cloud.aiplatform.v1.PredictionService/RawPredict", RawPredictRequest.serialize, HttpBody.FromString
    )
    _, call = stub.with_call(RawPredictRequest(request))
    assert ("x-vertex-ai-deployed-model-id", "11") in [tuple(pair) for pair in call.initial_metadata()]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, grpc.StatusCode.INVALID_ARGUMENT),
        (404, grpc.StatusCode.INVALID_ARGUMENT),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (500, grpc.StatusCode.INTERNAL),
        (503, grpc.StatusCode.UNAVAILABLE),
        (504, grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
)
def test_a_model_servers_error_becomes_a_status(status: int, code: grpc.StatusCode) -> None:
    with pytest.raises(ApiError, match=str(status)) as caught:
        raise_for(Answer(status, b"no"), "1234567890")
    assert (caught.value.code, caught.value.deployed_model) == (code, "1234567890")


def test_a_request_that_the_model_cannot_read_is_an_invalid_argument(vertex: Vertex, serving: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="instances"):
        vertex.predictions.raw_predict({"endpoint": serving, "http_body": {"data": b"not json"}})
    assert vertex.sink.of("response_count", response_code="4xx") == [1]
