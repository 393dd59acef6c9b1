"""Endpoints, deployments, traffic and predictions through the SDK."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.emulator_sdk.catalogue import Sdk, code_path
from tests.emulator_sdk.registry_paths import explanation

_BUILDER = "python-aiplatform samples/model-builder/"
_NOTEBOOKS = "vertex-ai-samples notebooks/official/"
_PREDICTIONS = 300
_TOLERANCE = 0.11
"""4.5 standard deviations of a share of 0.2 in 300 predictions: exceeded once in 150,000 runs."""


@code_path(_BUILDER + "create_endpoint_sample.py")
def create_an_endpoint(sdk: Sdk) -> None:
    endpoint = sdk.endpoint(display_name="created", description="d", labels={"team": "search"})
    found = sdk.aiplatform.Endpoint(endpoint.name)
    assert (found.display_name, found.labels, found.traffic_split) == ("created", {"team": "search"}, {})
    assert found.gca_resource.description == "d"


@code_path(_BUILDER + "deploy_model_with_automatic_resources_sample.py")
def deploy_without_naming_a_machine(sdk: Sdk) -> None:
    endpoint = sdk.upload().deploy(min_replica_count=1, max_replica_count=2)
    (deployed,) = endpoint.list_models()
    assert deployed.dedicated_resources.machine_spec.machine_type == "n1-standard-2"
    assert endpoint.traffic_split == {deployed.id: 100}


@code_path(_BUILDER + "deploy_model_with_dedicated_resources_sample.py")
def deploy_on_machines_with_accelerators(sdk: Sdk) -> None:
    endpoint = sdk.endpoint()
    model = sdk.upload()
    model.deploy(
        endpoint=endpoint,
        deployed_model_display_name="gpu",
        traffic_percentage=100,
        machine_type="n1-standard-4",
        accelerator_type="NVIDIA_TESLA_T4",
        accelerator_count=1,
        min_replica_count=1,
        max_replica_count=3,
        autoscaling_target_cpu_utilization=70,
        sync=False,
    )
    endpoint.wait()
    (deployed,) = endpoint.list_models()
    assert deployed.display_name == "gpu"
    assert deployed.dedicated_resources.machine_spec.accelerator_count == 1
    assert [spec.target for spec in deployed.dedicated_resources.autoscaling_metric_specs] == [70]
    assert deployed.model == model.resource_name + "@1"


@code_path(_BUILDER + "endpoint_predict_sample.py, predict_tabular_classification_sample.py")
def predict(sdk: Sdk) -> None:
    endpoint = sdk.serving()
    answer = sdk.aiplatform.Endpoint(endpoint.name).predict(instances=[{"x": 1}, {"x": 2}], parameters={"k": 1})
    assert len(answer.predictions) == 2
    assert 0 <= answer.predictions[0]["score"] <= 1
    (deployed,) = endpoint.list_models()
    assert (answer.deployed_model_id, answer.model_version_id) == (deployed.id, "1")


@code_path(_BUILDER + "explain_sample.py, explain_tabular_sample.py")
def explain(sdk: Sdk) -> None:
    endpoint = sdk.serving(**explanation(sdk))
    answer = endpoint.explain(instances=[{"x": 1, "y": 2}], parameters={})
    (attribution,) = answer.explanations[0].attributions
    parts = sum(dict(attribution.feature_attributions).values())
    assert abs(parts - (attribution.instance_output_value - attribution.baseline_output_value)) < 1e-9
    assert answer.deployed_model_id == endpoint.list_models()[0].id


@code_path()
def explain_reaches_a_model_without_traffic_that_predict_cannot(sdk: Sdk) -> None:
    endpoint = sdk.serving(**explanation(sdk))
    stable = endpoint.list_models()[0].id
    endpoint.deploy(sdk.upload(), traffic_split={"0": 0, stable: 100}, machine_type="n1-standard-2", **explanation(sdk))
    silent = next(deployed.id for deployed in endpoint.list_models() if deployed.id != stable)
    assert endpoint.explain([{"x": 1}], deployed_model_id=silent).deployed_model_id == silent
    assert {endpoint.predict([{"x": 1}]).deployed_model_id for _ in range(20)} == {stable}
    plain = sdk.serving()
    sdk.refuses("FailedPrecondition", lambda: plain.explain([{"x": 1}]), code=400)


@code_path(_NOTEBOOKS + "prediction/get_started_with_dedicated_endpoint.ipynb (traffic split)")
def a_second_model_with_a_share_and_a_new_split(sdk: Sdk) -> None:
    endpoint, first, second = _two_models(sdk)
    assert endpoint.traffic_split == {first: 50, second: 50}, "the SDK rescales the others to make room"
    endpoint.update(traffic_split={first: 20, second: 80})
    assert sdk.aiplatform.Endpoint(endpoint.name).traffic_split == {first: 20, second: 80}
    seen = Counter(endpoint.predict([{"x": 1}]).deployed_model_id for _ in range(_PREDICTIONS))
    assert abs(seen[first] / _PREDICTIONS - 0.2) < _TOLERANCE, seen
    assert set(seen) == {first, second}


@code_path()
def a_deployment_that_brings_its_own_split(sdk: Sdk) -> None:
    endpoint = sdk.serving()
    (first,) = endpoint.traffic_split
    endpoint.deploy(sdk.upload(), traffic_split={first: 90, "0": 10}, machine_type="n1-standard-2")
    (second,) = set(endpoint.traffic_split) - {first}
    assert endpoint.traffic_split == {first: 90, second: 10}


@code_path()
def undeploying_gives_the_traffic_to_the_others(sdk: Sdk) -> None:
    endpoint, first, second = _two_models(sdk)
    endpoint.undeploy(second, traffic_split={first: 100})
    assert endpoint.traffic_split == {first: 100}
    assert [deployed.id for deployed in endpoint.list_models()] == [first]


@code_path(_NOTEBOOKS + "custom/SDK_Custom_Container_Prediction.ipynb (deploy, predict, clean up)")
def from_upload_to_clean_up(sdk: Sdk) -> None:
    model = sdk.upload()
    endpoint = model.deploy(machine_type="n1-standard-4")
    assert len(endpoint.predict(instances=[[6.7, 3.1, 4.7, 1.5], [4.6, 3.1, 1.5, 0.2]]).predictions) == 2
    sdk.refuses("FailedPrecondition", endpoint.delete, code=400)
    endpoint.undeploy_all()
    assert (endpoint.traffic_split, endpoint.list_models()) == ({}, [])
    endpoint.delete()
    model.delete()
    sdk.refuses("NotFound", lambda: sdk.aiplatform.Endpoint(endpoint.resource_name).traffic_split, code=404)


@code_path()
def undeploy_all_with_a_model_outside_the_split(sdk: Sdk) -> None:
    endpoint, first, _ = _two_models(sdk)
    endpoint.update(traffic_split={first: 100})
    endpoint.undeploy_all()
    assert endpoint.list_models() == []
    endpoint.delete(force=True)


@code_path()
def the_sdk_or_else_the_service_refuses_to_leave_an_endpoint_without_traffic(sdk: Sdk) -> None:
    endpoint, first, second = _two_models(sdk)
    endpoint.update(traffic_split={first: 100, second: 0})
    try:
        endpoint.undeploy(first)
    except ValueError as error:
        assert "would leave the remaining traffic split at 0%" in str(error)
    else:
        raise AssertionError("the SDK should have refused")
    endpoint.update(traffic_split={first: 100})
    sdk.refuses("FailedPrecondition", lambda: endpoint.undeploy(first), code=400)


@code_path()
def splits_that_break_the_rules_are_refused(sdk: Sdk) -> None:
    endpoint = sdk.serving()
    (only,) = endpoint.traffic_split
    sdk.refuses("InvalidArgument", lambda: endpoint.update(traffic_split={only: 90}), code=400)
    text = sdk.refuses("InvalidArgument", lambda: endpoint.update(traffic_split={only: 50, "7": 50}), code=400)
    assert "The following DeployedModel ID(s) [7] do not exist." in text


@code_path()
def predictions_without_a_split_or_an_endpoint_are_refused(sdk: Sdk) -> None:
    endpoint = sdk.endpoint()
    text = sdk.refuses("FailedPrecondition", lambda: endpoint.predict([{"x": 1}]), code=400)
    assert "doesn't have traffic_split" in text
    other = sdk.aiplatform.Endpoint("7")
    sdk.refuses("NotFound", lambda: other.predict([{"x": 1}]), code=404)


@code_path()
def a_stale_write_is_refused_by_its_etag(sdk: Sdk) -> None:
    """The SDK sends the etag of what it last read, so that of two writers the second one notices."""
    endpoint = sdk.serving()
    (only,) = endpoint.traffic_split
    other = sdk.aiplatform.Endpoint(endpoint.resource_name)
    assert other.traffic_split == {only: 100}
    endpoint.update(description="first writer")
    sdk.refuses("Aborted", lambda: other.update(traffic_split={only: 100}), code=409)


@code_path()
def a_machine_that_does_not_exist_is_refused(sdk: Sdk) -> None:
    endpoint, model = sdk.endpoint(), sdk.upload()
    sdk.refuses("InvalidArgument", lambda: endpoint.deploy(model, machine_type="n1-standard-3"), code=400)


@code_path()
def list_endpoints_by_filter(sdk: Sdk) -> None:
    sdk.endpoint(display_name="listed", labels={"list": sdk.transport})
    found = sdk.aiplatform.Endpoint.list(filter=f"labels.list={sdk.transport}", order_by="create_time desc")
    assert [endpoint.display_name for endpoint in found] == ["listed"]


@code_path(_NOTEBOOKS + "prediction/get_started_with_dedicated_endpoint.ipynb (predict, raw predict, stream)")
def predictions_of_a_dedicated_endpoint_go_to_its_own_host(sdk: Sdk) -> None:
    endpoint = sdk.endpoint(dedicated_endpoint_enabled=True)
    endpoint.deploy(sdk.upload(), traffic_percentage=100, machine_type="n1-standard-2")
    answer = endpoint.predict(instances=[{"x": 1}], use_dedicated_endpoint=True)
    assert 0 <= answer.predictions[0]["score"] <= 1
    body = b'{"instances": [{"x": 1}]}'
    headers = {"Content-Type": "application/json"}
    raw = endpoint.raw_predict(body=body, headers=headers, use_dedicated_endpoint=True)
    assert raw.json()["predictions"] == answer.predictions
    assert raw.headers["x-vertex-ai-deployed-model-id"] == endpoint.list_models()[0].id
    lines = list(endpoint.stream_raw_predict(body=body, headers=headers, use_dedicated_endpoint=True))
    assert json.loads(b"".join(lines)) == raw.json()


@code_path(_NOTEBOOKS + "prediction/get_started_with_raw_predict.ipynb")
def raw_predict_through_the_typed_client(sdk: Sdk) -> None:
    from google.api import httpbody_pb2

    endpoint = sdk.serving()
    http_body = httpbody_pb2.HttpBody(data=b'{"instances": [{"x": 1}]}', content_type="application/json")
    client = typed_client(sdk, "PredictionServiceClient")
    answer = client.raw_predict(request={"endpoint": endpoint.resource_name, "http_body": http_body})
    assert len(json.loads(answer.data)["predictions"]) == 1
    parts = client.stream_raw_predict(request={"endpoint": endpoint.resource_name, "http_body": http_body})
    assert b"".join(part.data for part in parts) == answer.data


def typed_client(sdk: Sdk, name: str) -> Any:
    """Return a client of the typed library, for what samples do with it beside the SDK."""
    from google.auth.credentials import AnonymousCredentials

    make = getattr(sdk.aiplatform.gapic, name)
    options = {"api_endpoint": sdk.api_endpoint}
    transport = "rest" if sdk.transport == "rest" else "grpc"
    return make(credentials=AnonymousCredentials(), client_options=options, transport=transport)


def _two_models(sdk: Sdk) -> tuple[Any, str, str]:
    """Return an endpoint with two models of half the traffic each."""
    endpoint = sdk.serving()
    (first,) = endpoint.traffic_split
    endpoint.deploy(sdk.upload(), traffic_percentage=50, machine_type="n1-standard-2")
    (second,) = set(endpoint.traffic_split) - {first}
    return endpoint, first, second
