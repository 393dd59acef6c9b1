"""The serving container as Vertex AI meets it: a process, an environment, a port."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.serving.contract import PUBLIC_ENDPOINT_LIMIT
from tests.serving.container import PATIENCE, REPOSITORY, image, relevance_artifact, running, start, write_artifact


def test_a_healthy_container_answers_one_prediction_per_instance(tmp_path: Path) -> None:
    with running(relevance_artifact(tmp_path)) as container:
        status, answer = container.predict(image(1, 0.1), image(2, 0.9))
    assert status == 200
    simple, complex_ = answer["predictions"]
    assert 64 <= simple["tokens"] < complex_["tokens"] <= 400
    assert simple["compression"] == round(1600 / simple["tokens"], 3)


def test_the_same_request_is_answered_alike_by_another_process(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        with running(relevance_artifact(tmp_path)) as container:
            answers.append(container.predict(image(1), image(2), image(3)))
    assert answers[0] == answers[1]


def test_the_image_runs_the_folder_as_a_plain_script_without_the_repository(tmp_path: Path) -> None:
    folder = tmp_path / "srv"
    folder.mkdir()
    for module in (REPOSITORY / "infra" / "serving").glob("*.py"):
        shutil.copy(module, folder)
    artifact = relevance_artifact(tmp_path / "artifact")
    with running(artifact, command=("-I", "-S", str(folder / "server.py")), folder=tmp_path) as container:
        assert container.predict(image(1))[0] == 200


def test_health_is_503_until_the_model_is_loaded_and_predictions_are_refused(tmp_path: Path) -> None:
    with running(relevance_artifact(tmp_path, load_ms=1500), health_path=None) as container:
        assert container.send("GET", "/health") == (503, {"error": "the model is loading"})
        assert container.predict(image(1))[0] == 503
        container.wait_until_healthy()
        assert container.predict(image(1))[0] == 200


def test_a_signal_while_the_model_loads_ends_the_container(tmp_path: Path) -> None:
    with running(relevance_artifact(tmp_path, load_ms=600_000), health_path=None) as container:
        code, _ = container.stop()
    assert code == 0


def test_routes_of_the_contract_are_honoured(tmp_path: Path) -> None:
    env = {"AIP_HEALTH_ROUTE": "/alive", "AIP_PREDICT_ROUTE": "/v1/answer"}
    body = json.dumps({"instances": [image(1)]}).encode()
    with running(relevance_artifact(tmp_path), env, health_path="/alive") as container:
        assert container.send("POST", "/v1/answer", body)[0] == 200
        status, answer = container.send("POST", "/predict", body)
    assert status == 404
    assert "/v1/answer" in answer["error"]


def test_without_routes_the_documented_default_path_serves_both(tmp_path: Path) -> None:
    path = "/v1/endpoints/123/deployedModels/456:predict"
    env = {"AIP_ENDPOINT_ID": "123", "AIP_DEPLOYED_MODEL_ID": "456"}
    with running(f"file://{relevance_artifact(tmp_path)}", env, health_path=path) as container:
        assert container.send("POST", path, json.dumps({"instances": [image(1)]}).encode())[0] == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b'{"instances": [', "the body is not JSON"),
        (b"\xff\xfe{}", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body must be an object"),
        (b'{"instances": []}', "instances: must be a list with at least one instance"),
        (b'{"instances": {"a": 1}}', "instances: must be a list"),
        (b'{"instances": [1], "parameters": 5}', "parameters: must be an object"),
        (b'{"instances": ["x"]}', "instances[0]: must be an object with image_id, complexity and query"),
        (
            b'{"instances": [{"image_id": "a", "complexity": 0.5, "query": "q"}, '
            b'{"image_id": "b", "complexity": 1.7, "query": "q"}]}',
            "instances[1].complexity: must be a number from 0 to 1, found 1.7",
        ),
        (b'{"instances": [{"image_id": "a", "complexity": NaN, "query": "q"}]}', "NaN is not a JSON number"),
        (b'{"instances": [{"image_id": "a", "complexity": true, "query": "q"}]}', "instances[0].complexity"),
        (b'{"instances": [{"image_id": "", "complexity": 0.5, "query": "q"}]}', "instances[0].image_id"),
        (b'{"instances": [{}], "parameters": {"max_tokens": 9}}', "parameters.max_tokens: must be a number from 64"),
    ],
)
def test_a_bad_body_is_refused_with_what_is_wrong(body: bytes, message: str, shared_container: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared_container, timeout=PATIENCE)
    connection.request("POST", "/predict", body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert response.status == 400
    assert message in answer["error"]


def test_a_method_that_a_path_does_not_know_is_named(tmp_path: Path) -> None:
    with running(relevance_artifact(tmp_path)) as container:
        status, answer = container.send("GET", "/predict")
    assert (status, answer["error"]) == (405, "GET is not answered at /predict: use POST")


def test_a_body_above_the_public_endpoints_limit_is_413_and_says_so(tmp_path: Path) -> None:
    with running(relevance_artifact(tmp_path)) as container:
        status, answer = container.send("POST", "/predict", b" " * (PUBLIC_ENDPOINT_LIMIT + 1))
        assert status == 413
        assert str(PUBLIC_ENDPOINT_LIMIT) in answer["error"]
        container.connection.close()
        assert container.predict(image(1))[0] == 200


def test_a_body_at_the_limit_is_answered(tmp_path: Path) -> None:
    body = json.dumps({"instances": [image(1)]}).encode()
    with running(relevance_artifact(tmp_path)) as container:
        status, _ = container.send("POST", "/predict", body + b" " * (PUBLIC_ENDPOINT_LIMIT - len(body)))
    assert status == 200


def test_a_failing_model_is_500_for_the_instances_it_fails_on_and_no_others(tmp_path: Path) -> None:
    with running(relevance_artifact(tmp_path, error_rate=0.3)) as container:
        first = [container.predict(image(number))[0] for number in range(40)]
        again = [container.predict(image(number))[0] for number in range(40)]
        failing = first.index(500)
        _, answer = container.predict(image(failing))
    assert set(first) == {200, 500}
    assert first == again
    assert answer == {"error": f"the model failed on instance 'image-{failing}'"}


def test_a_control_file_degrades_a_running_model_and_its_removal_heals_it(tmp_path: Path) -> None:
    artifact = relevance_artifact(tmp_path)
    control = artifact / "control.json"
    with running(artifact) as container:

        def wait_for(status: int) -> None:
            deadline = time.monotonic() + PATIENCE
            while container.predict(image(1))[0] != status:
                assert time.monotonic() < deadline, f"no answer became {status}"
                time.sleep(0.02)

        assert container.predict(image(1))[0] == 200
        control.write_text('{"behaviour": {"error_rate": 1}}', encoding="utf-8")
        wait_for(500)
        control.unlink()
        wait_for(200)
        control.write_text('{"behaviour": {"eror_rate": 1}}', encoding="utf-8")
        time.sleep(0.25)
        assert container.predict(image(1))[0] == 200
        _, log = container.stop()
    assert "control.json: behaviour.eror_rate: unknown" in log


def test_sigterm_lets_the_request_in_flight_finish_and_accepts_no_other(tmp_path: Path) -> None:
    with running(relevance_artifact(tmp_path, latency_ms=1000)) as container, ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(container.predict, image(1))
        time.sleep(0.4)
        code, log = container.stop()
        assert in_flight.result()[0] == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", container.port), timeout=PATIENCE)
    assert code == 0
    assert json.loads(log.splitlines()[-1]) == {"severity": "INFO", "message": "stopped", "cut_off": 0}


def test_a_request_that_outlasts_the_grace_period_is_cut_off_and_counted(tmp_path: Path) -> None:
    artifact = relevance_artifact(tmp_path, latency_ms=60_000)
    with running(artifact, {"GRACE_SECONDS": "0.1"}) as container, ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(container.predict, image(1))
        time.sleep(0.4)
        code, log = container.stop()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            in_flight.result()
    assert code == 0
    assert json.loads(log.splitlines()[-1])["cut_off"] == 1


@pytest.mark.parametrize(
    ("artifact", "env", "code", "message"),
    [
        ("/nowhere/at/all", {}, 1, "AIP_STORAGE_URI=/nowhere/at/all: there is no such directory"),
        ("s3://bucket/model", {}, 1, "s3:// is not supported"),
        ("", {}, 2, "AIP_STORAGE_URI is not set"),
        ("/tmp", {"AIP_HTTP_PORT": "http"}, 2, "AIP_HTTP_PORT='http' is not a number"),  # noqa: S108
        ("/tmp", {"AIP_PREDICT_ROUTE": "predict"}, 2, "AIP_PREDICT_ROUTE='predict' must be an absolute path"),  # noqa: S108
    ],
)
def test_a_container_that_cannot_serve_ends_with_the_reason(
    artifact: str, env: dict[str, str], code: int, message: str
) -> None:
    with start(artifact, env) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    last = json.loads(next(line for line in output.splitlines() if "CRITICAL" in line))
    assert message in last["message"]


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start(relevance_artifact(tmp_path), {"AIP_HTTP_PORT": str(port)}) as process:
            output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port} (AIP_HTTP_PORT)" in output


def test_concurrent_requests_share_model_calls_and_get_their_own_answers(tmp_path: Path) -> None:
    artifact = relevance_artifact(tmp_path, latency_ms=50)
    env = {"BATCH_MAX_INSTANCES": "16", "MODEL_CONCURRENCY": "1"}
    ready = threading.Barrier(12)

    def call(number: int) -> tuple[int, int]:
        connection = http.client.HTTPConnection("127.0.0.1", container.port, timeout=PATIENCE)
        ready.wait(PATIENCE)
        connection.request("POST", "/predict", json.dumps({"instances": [image(number, number / 12)]}))
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer["predictions"][0]["tokens"]

    with running(artifact, env) as container:
        with ThreadPoolExecutor(12) as pool:
            together = list(pool.map(call, range(12)))
        alone = [
            (status, answer["predictions"][0]["tokens"])
            for status, answer in (container.predict(image(number, number / 12)) for number in range(12))
        ]
    assert together == alone


def test_a_tabular_model_answers_as_logistic_regression_does_by_hand(tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path, kind="tabular", weights={"age": 0.5, "income": -0.25}, bias=1.0)
    with running(artifact) as container:
        status, answer = container.predict(
            {"age": 2, "income": 8}, {"age": 0, "income": 0}, parameters={"threshold": 0.6}
        )
        refused = container.predict({"age": 2})
    assert status == 200
    # 1 + 0.5 * 2 - 0.25 * 8 = 0 -> 0.5; bias alone: 1 / (1 + e^-1) = 0.731059
    assert answer["predictions"] == [{"probability": 0.5, "label": 0}, {"probability": 0.731059, "label": 1}]
    assert refused == (400, {"error": "instances[0].income: must be a number, found None"})
