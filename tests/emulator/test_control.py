"""An emulator that runs is handled over REST, from the command line, and by the file that it keeps its state in."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.aiplatform_v1.services.model_service.client import ModelServiceClient
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import ModelServiceGrpcTransport

from tests.emulator.conftest import PARENT
from vertex_emulator.__main__ import main
from vertex_emulator.config import Config, Durations
from vertex_emulator.stack import LocalVertex

ONLINE = "aiplatform.googleapis.com/prediction/online/"


@pytest.fixture
def local() -> Iterator[LocalVertex]:
    with LocalVertex(Config(durations=Durations(upload=0))) as started:
        yield started


def rest(local: LocalVertex, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(local.rest_address, timeout=5)
    connection.request(verb, path, json.dumps(body) if body is not None else None)
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    return answer.status, document


def upload(address: str, model_id: str = "m") -> None:
    with grpc.insecure_channel(address) as channel:
        client = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        client.upload_model({"parent": PARENT, "model_id": model_id, "model": {"display_name": "M"}})


def models(address: str) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        client = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        return [model.name.rpartition("/")[2] for model in client.list_models({"parent": PARENT})]


def command(local: LocalVertex, *arguments: str) -> int:
    return main([*arguments, "--address", local.address])


def test_faults_are_planned_listed_and_cleared_over_rest(local: LocalVertex) -> None:
    status, fault = rest(local, "POST", "/emulator/v1/faults", {"kind": "fail", "method": "ListModels", "times": None})
    assert (status, fault["code"], fault["method"]) == (200, "UNAVAILABLE", "ListModels")
    assert rest(local, "GET", f"/v1/{PARENT}/models")[0] == 503
    assert [f["happened"] for f in rest(local, "GET", "/emulator/v1/faults")[1]["faults"]] == [1]
    assert rest(local, "DELETE", f"/emulator/v1/faults/{fault['id']}") == (200, {})
    assert rest(local, "GET", f"/v1/{PARENT}/models")[0] == 200


def test_what_is_wrong_with_an_administrative_request_is_said_in_googles_form(local: LocalVertex) -> None:
    status, answer = rest(local, "POST", "/emulator/v1/faults", {"kind": "fail", "method": "Nope"})
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "no method is called 'Nope'" in answer["error"]["message"]
    assert rest(local, "GET", "/emulator/v1/nothing")[0] == 404
    assert rest(local, "POST", "/emulator/v1/state:load", [1])[0] == 400


def test_the_state_is_saved_reset_and_loaded_over_rest(local: LocalVertex, tmp_path: Path) -> None:
    upload(local.address)
    assert models(local.address) == ["m"]
    file = {"file": str(tmp_path / "state.json")}
    assert rest(local, "POST", "/emulator/v1/state:save", file) == (200, file)
    state = rest(local, "POST", "/emulator/v1/state:save")[1]["state"]
    for document in (file, {"state": state}):
        assert rest(local, "POST", "/emulator/v1/state:reset")[0] == 200
        assert models(local.address) == []
        assert rest(local, "POST", "/emulator/v1/state:load", document) == (200, {})
        assert models(local.address) == ["m"]


def test_the_permissions_used_are_told_over_rest_by_caller(local: LocalVertex) -> None:
    connection = http.client.HTTPConnection(local.rest_address, timeout=5)
    connection.request("GET", f"/v1/{PARENT}/models", headers={"User-Agent": "curl/8.1 (x)"})
    connection.getresponse().read()
    connection.close()
    (used,) = rest(local, "GET", "/emulator/v1/permissions")[1]["permissions"]
    assert (used["permission"], used["caller"]) == ("aiplatform.models.list", "curl/8.1")
    rest(local, "DELETE", "/emulator/v1/permissions")
    assert rest(local, "GET", "/emulator/v1/permissions")[1] == {"permissions": []}


def test_metrics_are_injected_over_rest_and_read_back(local: LocalVertex) -> None:
    resource = {"type": "aiplatform.googleapis.com/Endpoint", "labels": {"endpoint_id": "1"}}
    point = {"ago": 600, "value": 7}
    series = {"metric": f"{ONLINE}error_count", "labels": {"deployed_model_id": "11"}, "resource": resource}
    status, answer = rest(local, "POST", "/emulator/v1/metrics", {"series": [{**series, "points": [point]}]})
    assert (status, answer) == (200, {"points": 1})
    window = "interval.startTime=2020-01-01T00:00:00Z&interval.endTime=2100-01-01T00:00:00Z"
    wanted = f"filter=metric.type%3D%22{ONLINE}error_count%22"
    found = rest(local, "GET", f"/v3/projects/local-project/timeSeries?{window}&{wanted}")[1]
    assert [p["value"] for p in found["timeSeries"][0]["points"]] == [{"int64Value": "7"}]


def test_the_command_line_plans_lists_and_clears_faults(local: LocalVertex, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--code", "ABORTED", "--times", "2", "--probability", "0.5", "--seed", "4", "--resource", "x")
    assert command(local, "faults", "add", "fail", "UpdateEndpoint", *arguments) == 0
    assert command(local, "faults", "list") == 0
    id_, line = capsys.readouterr().out.splitlines()
    fault = json.loads(line)
    assert fault["id"] == id_
    assert (fault["code"], fault["times"], fault["probability"], fault["seed"]) == ("ABORTED", 2, 0.5, 4)
    assert command(local, "faults", "clear", id_) == 0
    assert command(local, "faults", "clear", id_) == 2
    assert f"The fault {id_} is not found" in capsys.readouterr().err


def test_the_command_line_saves_loads_and_resets(
    local: LocalVertex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(local.address)
    assert models(local.address) == ["m"]
    file = str(tmp_path / "state.json")
    assert [command(local, "state", "save", file), command(local, "state", "reset")] == [0, 0]
    assert models(local.address) == []
    assert command(local, "state", "load", file) == 0
    assert models(local.address) == ["m"]
    Path(file).write_text("{}")
    assert command(local, "state", "load", file) == 2
    assert "is not a saved state of this version" in capsys.readouterr().err


def test_the_command_line_injects_metrics_and_lists_permissions(
    local: LocalVertex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "metrics.json"
    file.write_text(json.dumps({"series": [{"metric": f"{ONLINE}replicas", "points": [{"ago": 60, "value": 3}]}]}))
    assert command(local, "metrics", "inject", str(file)) == 0
    assert command(local, "metrics", "delay", "10", "--metric", ONLINE) == 0
    assert local.monitoring.sink.visibility.delay(f"{ONLINE}replicas") == 10
    assert command(local, "metrics", "delay", "20") == 0
    assert local.monitoring.sink.visibility.default == 20
    models(local.address)
    assert command(local, "permissions") == 0
    said = capsys.readouterr().out
    assert said.startswith("1\n")
    assert "aiplatform.models.list" in said


def test_nobody_at_the_address_is_an_error_that_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VERTEX_EMULATOR_HOST", raising=False)
    assert main(["faults", "list"]) == 2
    assert "--address HOST:PORT" in capsys.readouterr().err
    assert main(["faults", "list", "--address", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.startswith("127.0.0.1:1: ")


@contextmanager
def _process(*arguments: str) -> Iterator[str]:
    started = [sys.executable, "-m", "vertex_emulator", *arguments]
    process = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = [line.strip() for line in iter(process.stdout.readline, "# Ready.\n")]
        yield dict(line.split("=", 1) for line in lines)["VERTEX_EMULATOR_HOST"]
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_a_process_keeps_its_state_in_a_file_from_one_run_to_the_next(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"durations": {"upload": 0}}))
    arguments = ("--config", str(config), "--state", str(tmp_path / "state.json"))
    with _process(*arguments) as address:
        upload(address)
    with _process(*arguments) as address:
        assert models(address) == ["m"]


def test_a_state_file_that_is_none_keeps_the_process_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "state.json"
    file.write_text("[]")
    assert main(["--state", str(file)]) == 2
    assert "is not a saved state" in capsys.readouterr().err
