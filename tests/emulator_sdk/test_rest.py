"""REST as curl speaks it: paths, query parameters, bodies, masks, errors, raw bodies, connections."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.emulator_sdk.catalogue import FAST, SERVED_IMAGE
from vertex_emulator.stack import LocalVertex

LOCATION = "projects/local-project/locations/us-central1"
JSON = {"Content-Type": "application/json"}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Rest:
    """One kept-alive connection, and short words for what is done over it."""

    connection: http.client.HTTPConnection

    def call(self, verb: str, path: str, body: Any = None, headers: dict[str, str] = JSON, **query: str) -> Reply:
        url = f"/v1/{path}" if not path.startswith("/") else path
        if query:
            names = {name.replace("__", "."): value for name, value in query.items()}
            url += "?" + urllib.parse.urlencode(names)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        self.connection.request(verb, url, data, headers)
        answer = self.connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def finished(self, started: Reply) -> Any:
        assert started.status == 200, started.body
        for _ in range(200):
            operation = self.call("GET", started.json["name"]).json
            if operation.get("done"):
                return operation
            time.sleep(0.02)
        raise AssertionError(f"{operation} does not end")

    def upload(self, **fields: Any) -> str:
        """Upload a model; its id."""
        model_id = f"rest-{next(_numbers)}"
        env = [{"name": name, "value": value} for name, value in FAST.items()]
        model = {"displayName": "rest", "containerSpec": {"imageUri": SERVED_IMAGE, "env": env}, **fields}
        self.finished(self.call("POST", f"{LOCATION}/models:upload", {"model": model, "modelId": model_id}))
        return f"{LOCATION}/models/{model_id}"

    def serving(self) -> str:
        """Return an endpoint with model 5 that has all the traffic."""
        endpoint = f"{LOCATION}/endpoints/{next(_numbers) + 1000}"
        created = {"displayName": "rest"}
        started = self.call("POST", f"{LOCATION}/endpoints", created, endpointId=endpoint.rpartition("/")[2])
        self.finished(started)
        resources = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}
        deployed = {"id": "5", "model": self.upload(), "dedicatedResources": resources}
        deploy = {"deployedModel": deployed, "trafficSplit": {"0": 100}}
        self.finished(self.call("POST", f"{endpoint}:deployModel", deploy))
        return endpoint


@pytest.fixture
def rest(local: LocalVertex) -> Iterator[Rest]:
    connection = http.client.HTTPConnection(local.rest_address, timeout=10)
    yield Rest(connection)
    connection.close()


def test_an_upload_ends_in_a_model_whose_name_has_the_projects_number(rest: Rest) -> None:
    started = rest.call("POST", f"{LOCATION}/models:upload", {"model": {"displayName": "m"}, "modelId": "rest-names"})
    assert started.json["name"].startswith("projects/123456789012/locations/us-central1/models/rest-names/operations/")
    ended = rest.finished(started)
    kind = "type.googleapis.com/google.cloud.aiplatform.v1.UploadModelResponse"
    assert ended["response"]["@type"] == kind
    assert ended["response"]["modelVersionId"] == "1"
    found = rest.call("GET", f"{LOCATION}/models/rest-names@default").json
    assert (found["displayName"], found["versionAliases"]) == ("m", ["default"])


def test_bodies_are_read_in_camel_case_and_in_snake_case(rest: Rest) -> None:
    for number, model in enumerate(({"displayName": "same"}, {"display_name": "same"})):
        key = "modelId" if number else "model_id"
        rest.finished(rest.call("POST", f"{LOCATION}/models:upload", {"model": model, key: f"case-{number}"}))
        assert rest.call("GET", f"{LOCATION}/models/case-{number}").json["displayName"] == "same"


@pytest.mark.parametrize("mask", ["displayName,description", "display_name,description"])
@pytest.mark.parametrize("parameter", ["updateMask", "update_mask"])
def test_masks_are_read_in_both_cases(rest: Rest, mask: str, parameter: str) -> None:
    model = rest.upload()
    change = {"displayName": "new", "description": "d", "labels": {"not": "masked"}}
    changed = rest.call("PATCH", f"{model}?{parameter}={mask}", change)
    assert (changed.json["displayName"], changed.json["description"]) == ("new", "d")
    assert "labels" not in changed.json


def test_a_mask_in_a_body_is_read_too(rest: Rest) -> None:
    endpoint = rest.serving()
    change = {"id": "5", "dedicatedResources": {"maxReplicaCount": 4}}
    mask = "dedicated_resources.max_replica_count"
    body = {"deployedModel": change, "updateMask": mask}
    rest.finished(rest.call("POST", f"{endpoint}:mutateDeployedModel", body))
    (deployed,) = rest.call("GET", endpoint).json["deployedModels"]
    assert deployed["dedicatedResources"]["maxReplicaCount"] == 4


def test_lists_are_filtered_and_paged_by_query_parameters(rest: Rest) -> None:
    for _ in range(3):
        rest.upload(labels={"paged": "yes"})
    first = rest.call("GET", f"{LOCATION}/models", filter="labels.paged=yes", pageSize="2").json
    token = first["nextPageToken"]
    second = rest.call("GET", f"{LOCATION}/models", filter="labels.paged=yes", page_size="2", pageToken=token).json
    assert (len(first["models"]), len(second["models"])) == (2, 1)
    assert "nextPageToken" not in second


def test_enums_are_names_unless_numbers_are_asked_for(rest: Rest) -> None:
    model = rest.upload()
    assert rest.call("GET", model).json["supportedDeploymentResourcesTypes"] == ["DEDICATED_RESOURCES"]
    numbers = rest.call("GET", model + "?%24alt=json%3Benum-encoding%3Dint").json
    assert numbers["supportedDeploymentResourcesTypes"] == [1]


def test_what_v1beta1_has_in_common_with_v1_is_served_under_its_paths(rest: Rest) -> None:
    pool = {"dedicatedResources": {"machineSpec": {"machineType": "n1-standard-4"}, "minReplicaCount": 1}}
    body = {"deploymentResourcePool": pool, "deploymentResourcePoolId": "beta-pool"}
    parent = f"/v1beta1/{LOCATION}/deploymentResourcePools"
    rest.finished(rest.call("POST", parent, body))
    assert rest.call("GET", f"{parent}/beta-pool").json["name"].endswith("/deploymentResourcePools/beta-pool")
    assert len(rest.call("GET", parent).json["deploymentResourcePools"]) == 1
    unknown_to_v1 = {"displayName": "beta", "scaleToZeroSpec": {}}
    assert rest.call("POST", f"/v1beta1/{LOCATION}/endpoints", unknown_to_v1).status == 200


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "name"),
    [
        ("GET", f"{LOCATION}/models/none", None, 404, "NOT_FOUND"),
        ("GET", f"{LOCATION}/gadgets/1", None, 404, "NOT_FOUND"),
        ("PUT", f"{LOCATION}/models/none", {}, 404, "NOT_FOUND"),
        ("POST", f"{LOCATION}/endpoints", {"displayName": "x", "colour": 1}, 400, "INVALID_ARGUMENT"),
        ("POST", f"{LOCATION}/endpoints", [], 400, "INVALID_ARGUMENT"),
        ("POST", f"{LOCATION}/endpoints", b"{", 400, "INVALID_ARGUMENT"),
        ("GET", f"{LOCATION}/endpoints?bogus=1", None, 400, "INVALID_ARGUMENT"),
        ("GET", f"{LOCATION}/endpoints?pageSize=many", None, 400, "INVALID_ARGUMENT"),
        ("POST", f"{LOCATION}/customJobs", {}, 400, "INVALID_ARGUMENT"),
        ("POST", f"{LOCATION}/hyperparameterTuningJobs", {}, 501, "UNIMPLEMENTED"),
    ],
)
def test_errors_have_googles_form(rest: Rest, verb: str, path: str, body: Any, status: int, name: str) -> None:
    answer = rest.call(verb, path, body)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    error = answer.json["error"]
    assert (error["code"], error["status"]) == (status, name)
    assert error["message"]


def test_each_status_has_the_http_status_of_google_rpc_code(rest: Rest, local: LocalVertex) -> None:
    import grpc

    expected = {"ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}
    expected |= {"INTERNAL": 500, "PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401, "FAILED_PRECONDITION": 400}
    for name, status in expected.items():
        local.emulator.faults.fail("ListEndpoints", grpc.StatusCode[name], message="planned")
        answer = rest.call("GET", f"{LOCATION}/endpoints")
        assert (answer.status, answer.json["error"]["message"]) == (status, "planned")


def test_predictions_follow_the_split(rest: Rest) -> None:
    answer = rest.call("POST", f"{rest.serving()}:predict", {"instances": [{"x": 1}, {"x": 2}], "parameters": {"k": 1}})
    assert len(answer.json["predictions"]) == 2
    assert (answer.json["deployedModelId"], answer.json["modelVersionId"]) == ("5", "1")


def test_a_raw_prediction_takes_any_body_and_says_who_answered(rest: Rest) -> None:
    endpoint = rest.serving()
    answer = rest.call("POST", f"{endpoint}:rawPredict", b'{"instances": [1]}')
    assert len(answer.json["predictions"]) == 1
    assert answer.headers["x-vertex-ai-deployed-model-id"] == "5"
    assert answer.headers["x-vertex-ai-endpoint-id"] == endpoint.rpartition("/")[2]
    refused = rest.call("POST", f"{endpoint}:rawPredict", b"\x00\xff", {"Content-Type": "application/octet-stream"})
    assert (refused.status, refused.headers["x-vertex-ai-deployed-model-id"]) == (400, "5")


def test_a_stream_of_raw_predictions_is_the_models_own_bytes(rest: Rest) -> None:
    endpoint = rest.serving()
    body = b'{"instances": [1]}'
    whole = rest.call("POST", f"{endpoint}:rawPredict", body)
    assert rest.call("POST", f"{endpoint}:streamRawPredict", body).body == whole.body


def test_a_dedicated_host_answers_for_its_own_endpoint_only(rest: Rest) -> None:
    endpoint = rest.serving()
    host = f"{endpoint.rpartition('/')[2]}.us-central1-123456789012.prediction.vertexai.goog"
    body = {"instances": [{"x": 1}]}
    assert rest.call("POST", f"{endpoint}:predict", body, {**JSON, "Host": host}).status == 200
    assert rest.call("POST", f"{LOCATION}/endpoints/8:predict", body, {**JSON, "Host": host}).status == 404
    assert rest.call("GET", f"{LOCATION}/models", None, {"Host": host}).status == 404


def test_a_long_query_may_travel_as_a_form(rest: Rest) -> None:
    headers = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
    assert "locations" in rest.call("POST", "projects/local-project/locations", b"pageSize=3", headers).json


def test_a_body_may_come_in_chunks(rest: Rest) -> None:
    parts = iter([b'{"display', b'Name": "chunks"}'])
    rest.connection.request("POST", f"/v1/{LOCATION}/endpoints", parts, JSON, encode_chunked=True)
    answer = rest.connection.getresponse()
    assert "operations" in json.loads(answer.read())["name"]


def test_operations_are_listed_waited_for_and_cancelled(rest: Rest, local: LocalVertex) -> None:
    local.emulator.faults.set_duration("CreateEndpoint", 3600)
    name = rest.call("POST", f"{LOCATION}/endpoints", {"displayName": "slow"}).json["name"]
    assert "done" not in rest.call("POST", f"{name}:wait", timeout="0.05s").json
    assert rest.call("POST", f"{name}:cancel").json == {}
    assert rest.call("GET", name).json["error"]["code"] == 1
    resource = name.partition("/operations/")[0]
    assert [entry["name"] for entry in rest.call("GET", f"{resource}/operations").json["operations"]] == [name]
    assert rest.call("DELETE", name).json == {}
    assert rest.call("GET", name).status == 404


def test_cloud_monitoring_is_served_too(rest: Rest) -> None:
    project = "/v3/projects/local-project"
    body = {"displayName": "hook", "type": "webhook_tokenauth", "labels": {"url": "http://127.0.0.1:1/"}}
    channel = rest.call("POST", f"{project}/notificationChannels", body).json
    assert channel["type"] == "webhook_tokenauth"
    path = "/v3/" + channel["name"]
    changed = rest.call("PATCH", path, {"displayName": "renamed"}, updateMask="display_name")
    assert changed.json["displayName"] == "renamed"
    metric = "aiplatform.googleapis.com/prediction/online/replicas"
    assert rest.call("GET", f"{project}/metricDescriptors/{metric}").json["type"] == metric
    series = rest.call(
        "GET",
        f"{project}/timeSeries",
        filter=f'metric.type="{metric}"',
        interval__startTime="2026-01-01T00:00:00Z",
        interval__endTime="2026-01-01T01:00:00Z",
        view="HEADERS",
    )
    assert "timeSeries" not in series.json
    assert rest.call("DELETE", path).json == {}


def test_one_port_serves_plain_http_and_tls(local: LocalVertex) -> None:
    assert local.certificate is not None
    context = ssl.create_default_context(cafile=str(local.certificate.authority))
    connection = http.client.HTTPSConnection(local.rest_address, context=context, timeout=10)
    try:
        assert Rest(connection).call("GET", f"{LOCATION}/models/none").status == 404
        assert Rest(connection).call("GET", f"{LOCATION}/models/none").status == 404
    finally:
        connection.close()


def test_a_caller_that_does_not_trust_the_certificate_harms_nobody(local: LocalVertex, rest: Rest) -> None:
    connection = http.client.HTTPSConnection(local.rest_address, timeout=10)
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/")
    with socket.create_connection(("127.0.0.1", int(local.rest_address.rpartition(":")[2]))):
        pass
    assert rest.call("GET", f"{LOCATION}/models/none").status == 404


def test_many_callers_at_once_all_get_their_own_answer(local: LocalVertex) -> None:
    wrong: list[str] = []

    def call(number: int) -> None:
        connection = http.client.HTTPConnection(local.rest_address, timeout=10)
        for _ in range(20):
            region = f"projects/local-project/locations/region-{number}"
            if Rest(connection).call("GET", region).json["locationId"] != f"region-{number}":
                wrong.append(region)
        connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    _run_all(threads, threading.Thread.start)
    _run_all(threads, threading.Thread.join)
    assert wrong == []


def _run_all(threads: list[threading.Thread], what: Callable[[threading.Thread], None]) -> None:
    for thread in threads:
        what(thread)
