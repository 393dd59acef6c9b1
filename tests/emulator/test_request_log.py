"""Request-response logging, with the columns of the documented BigQuery table ("Online inference logging")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator.conftest import MakeVertex, Vertex


def serve(vertex: Vertex, **logging: Any) -> str:
    vertex.upload()
    endpoint = vertex.endpoint(predict_request_response_logging_config=logging)
    vertex.deploy(endpoint, "11")
    vertex.split(endpoint, {"11": 100})
    return endpoint


def test_sampled_predictions_are_logged_with_both_payloads(make_vertex: MakeVertex) -> None:
    rows: list[dict[str, Any]] = []
    vertex = make_vertex(request_sink=rows.append)
    endpoint = serve(vertex, enabled=True, sampling_rate=1.0)
    vertex.predict(endpoint, {"x": 1})
    (row,) = rows
    assert (row["endpoint"], row["deployed_model_id"], row["request_id"]) == ("serving", "11", 1)
    assert json.loads(row["request_payload"][0]) == {"instances": [{"x": 1}]}
    assert "score" in json.loads(row["response_payload"][0])["predictions"][0]


def test_logging_is_off_by_default_and_can_be_switched_by_an_update(make_vertex: MakeVertex) -> None:
    rows: list[dict[str, Any]] = []
    vertex = make_vertex(request_sink=rows.append)
    endpoint = serve(vertex)
    vertex.predict(endpoint)
    assert rows == []
    config = {"enabled": True, "sampling_rate": 0.5}
    vertex.endpoints.update_endpoint(
        {
            "endpoint": {"name": endpoint, "predict_request_response_logging_config": config},
            "update_mask": {"paths": ["predict_request_response_logging_config"]},
        }
    )
    for _ in range(40):
        vertex.predict(endpoint)
    assert 5 < len(rows) < 35


def test_a_sink_that_fails_does_not_fail_the_prediction(
    make_vertex: MakeVertex, caplog: pytest.LogCaptureFixture
) -> None:
    def sink(row: dict[str, Any]) -> None:
        raise RuntimeError(row["endpoint"])

    vertex = make_vertex(request_sink=sink)
    endpoint = serve(vertex, enabled=True, sampling_rate=1.0)
    assert vertex.predict(endpoint).deployed_model_id == "11"
    assert "request log" in caplog.text
