"""A state that was saved goes on in another emulator as if nothing had happened."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.aiplatform_v1.services.deployment_resource_pool_service.client import (
    DeploymentResourcePoolServiceClient,
)
from google.cloud.aiplatform_v1.services.deployment_resource_pool_service.transports.grpc import (
    DeploymentResourcePoolServiceGrpcTransport,
)
from google.cloud.aiplatform_v1.types import JobState, PipelineState

from tests.emulator.conftest import PARENT, STORED, MakeVertex, Vertex
from vertex_emulator.config import Config
from vertex_emulator.errors import ApiError
from vertex_emulator.load import Usage

MODEL = f"{PARENT}/models/relevance"
SERVER = [sys.executable, str(Path(__file__).parent / "model_server.py")]


def saved(vertex: Vertex) -> Any:
    """The state as a file would hold it."""
    return json.loads(json.dumps(vertex.emulator.save()))


def successor(make_vertex: MakeVertex, vertex: Vertex, *, later: float = 0) -> Vertex:
    """Another emulator, so many seconds later, with what the first one knew."""
    other = make_vertex(vertex.emulator.config, seed=7)
    other.clock.now = vertex.clock.now + timedelta(seconds=later)
    other.emulator.load(saved(vertex))
    return other


def pools_of(vertex: Vertex) -> Any:
    transport = DeploymentResourcePoolServiceGrpcTransport(channel=vertex.channel)
    return DeploymentResourcePoolServiceClient(transport=transport)


def test_models_endpoints_and_evaluations_are_the_same_to_a_reader(
    make_vertex: MakeVertex, vertex: Vertex, serving: str
) -> None:
    vertex.upload(parent_model=MODEL, version_aliases=["candidate"], labels={"run": "r-2"})
    vertex.models.update_model(
        {"model": {"name": MODEL, "labels": {"team": "x"}}, "update_mask": {"paths": ["labels"]}}
    )
    evaluation = {"metrics_schema_uri": "gs://schema", "metrics": {"auc": 0.9}}
    vertex.models.import_model_evaluation({"parent": f"{MODEL}@2", "model_evaluation": evaluation})
    vertex.deploy(serving, "22", "relevance@2")
    vertex.split(serving, {"11": 90, "22": 10})
    other = successor(make_vertex, vertex)
    reads: list[Callable[[Vertex], Any]] = [
        lambda v: list(v.models.list_models({"parent": PARENT})),
        lambda v: list(v.models.list_model_versions({"name": MODEL})),
        lambda v: list(v.models.list_model_evaluations({"parent": f"{MODEL}@2"})),
        lambda v: list(v.endpoints.list_endpoints({"parent": PARENT})),
        lambda v: sorted(o.name for o in v.models.list_operations({"name": PARENT}).operations),
    ]
    for read in reads:
        assert read(other) == read(vertex)
        assert read(other)
    assert saved(other) == saved(vertex)


def test_ids_etags_and_the_choice_of_models_go_on_where_they_stopped(
    make_vertex: MakeVertex, vertex: Vertex, serving: str
) -> None:
    vertex.deploy(serving, "22")
    vertex.split(serving, {"11": 50, "22": 50})
    other = successor(make_vertex, vertex)
    choices = [[v.predict(serving).deployed_model_id for _ in range(20)] for v in (vertex, other)]
    assert choices[0] == choices[1]
    assert {"11", "22"} == set(choices[0])
    etags = [v.split(serving, {"11": 100}, labels={"a": "1"}).etag for v in (vertex, other)]
    assert etags[0] == etags[1]


def test_operations_under_way_end_with_as_much_time_left_as_they_had(
    make_vertex: MakeVertex, vertex: Vertex, serving: str
) -> None:
    deploying = vertex.start_deploy(serving, "22")
    upload = {"parent": PARENT, "model_id": "new", "model": {"display_name": "New"}}
    uploading = vertex.models.upload_model(upload)
    vertex.advance(50)
    other = successor(make_vertex, vertex, later=3600)
    assert not other.operation(deploying.operation.name).done
    with pytest.raises(exceptions.AlreadyExists):
        other.start_deploy(serving, "22")
    other.advance(11)
    assert other.operation(uploading.operation.name).done
    assert other.models.get_model({"name": f"{PARENT}/models/new"}).version_id == "1"
    assert not other.operation(deploying.operation.name).done
    other.advance(539)
    assert other.operation(deploying.operation.name).done
    found = other.endpoints.get_endpoint(name=serving)
    assert [entry.id for entry in found.deployed_models] == ["11", "22"]


def test_every_kind_of_operation_ends_after_it_was_loaded(
    make_vertex: MakeVertex, vertex: Vertex, serving: str
) -> None:
    vertex.upload(parent_model=MODEL)
    vertex.upload(parent_model=MODEL)
    for deployed_id in ("22", "33"):
        vertex.deploy(serving, deployed_id)
    vertex.upload("gone")
    empty = vertex.endpoint("empty")
    pools = pools_of(vertex)
    resources = {"machine_spec": {"machine_type": "n1-standard-4"}, "min_replica_count": 1, "max_replica_count": 1}
    for pool_id in ("old", "kept"):
        pools.create_deployment_resource_pool(
            {
                "parent": PARENT,
                "deployment_resource_pool_id": pool_id,
                "deployment_resource_pool": {"dedicated_resources": resources},
            }
        )
    job = vertex.jobs.create_custom_job({"parent": PARENT, "custom_job": {"display_name": "j"}})
    vertex.advance(3600)
    mutated = {"id": "33", "dedicated_resources": {"min_replica_count": 3, "max_replica_count": 3}}
    mask = {"paths": ["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]}
    wider = {"name": f"{PARENT}/deploymentResourcePools/kept", "dedicated_resources": {"max_replica_count": 5}}
    begun = [
        vertex.models.copy_model({"parent": PARENT, "source_model": MODEL, "model_id": "twin"}),
        vertex.models.delete_model({"name": f"{PARENT}/models/gone"}),
        vertex.models.delete_model_version({"name": f"{MODEL}@2"}),
        vertex.endpoints.create_endpoint({"parent": PARENT, "endpoint_id": "made", "endpoint": {"display_name": "M"}}),
        vertex.endpoints.delete_endpoint({"name": empty}),
        vertex.endpoints.update_endpoint_long_running(
            {"endpoint": {"name": serving, "client_connection_config": {"inference_timeout": "60s"}}}
        ),
        vertex.endpoints.undeploy_model({"endpoint": serving, "deployed_model_id": "22"}),
        vertex.endpoints.mutate_deployed_model({"endpoint": serving, "deployed_model": mutated, "update_mask": mask}),
        vertex.jobs.delete_custom_job({"name": job.name}),
        pools.delete_deployment_resource_pool({"name": f"{PARENT}/deploymentResourcePools/old"}),
        pools.update_deployment_resource_pool(
            {
                "deployment_resource_pool": wider,
                "update_mask": {"paths": ["dedicated_resources.max_replica_count"]},
            }
        ),
    ]
    other = successor(make_vertex, vertex)
    other.advance(600)
    ended = [other.operation(started.operation.name) for started in begun]
    assert [(o.done, o.error.message) for o in ended] == [(True, "")] * len(begun)
    models = {model.name.rpartition("/")[2] for model in other.models.list_models({"parent": PARENT})}
    assert models == {"relevance", "twin"}
    assert [v.version_id for v in other.models.list_model_versions({"name": MODEL})] == ["1", "3"]
    found = {e.name.rpartition("/")[2]: e for e in other.endpoints.list_endpoints({"parent": PARENT})}
    assert set(found) == {"serving", "made"}
    counts = {d.id: d.dedicated_resources.min_replica_count for d in found["serving"].deployed_models}
    assert counts == {"11": 1, "33": 3}
    assert found["serving"].client_connection_config.inference_timeout.total_seconds() == 60
    (pool,) = pools_of(other).list_deployment_resource_pools({"parent": PARENT})
    assert (pool.name, pool.dedicated_resources.max_replica_count) == (f"{STORED}/deploymentResourcePools/kept", 5)
    assert not list(other.jobs.list_custom_jobs({"parent": PARENT}))


def test_an_operation_whose_model_is_gone_fails_after_it_was_loaded(
    make_vertex: MakeVertex, vertex: Vertex, serving: str
) -> None:
    pools = pools_of(vertex)
    resources = {"machine_spec": {"machine_type": "n1-standard-4"}, "min_replica_count": 1}
    pool = {"dedicated_resources": resources}
    request = {"parent": PARENT, "deployment_resource_pool_id": "p", "deployment_resource_pool": pool}
    pools.create_deployment_resource_pool(request)
    vertex.advance(60)
    shared = {"dedicated_resources": None, "shared_resources": f"{PARENT}/deploymentResourcePools/p"}
    started = vertex.start_deploy(serving, "22", deployed_model=shared)
    pools.delete_deployment_resource_pool({"name": f"{PARENT}/deploymentResourcePools/p"})
    vertex.advance(60)
    other = successor(make_vertex, vertex)
    other.advance(600)
    assert other.operation(started.operation.name).error.code == 5


def test_jobs_go_on_and_a_training_pipeline_uploads_its_model(make_vertex: MakeVertex, vertex: Vertex) -> None:
    job = vertex.jobs.create_custom_job({"parent": PARENT, "custom_job": {"display_name": "train"}})
    failing = {"display_name": "bad", "labels": {"emulator-outcome": "failed"}}
    bad = vertex.jobs.create_custom_job({"parent": PARENT, "custom_job": failing})
    pipeline = {
        "display_name": "p",
        "training_task_definition": "gs://definition",
        "training_task_inputs": {},
        "model_to_upload": {"display_name": "Trained"},
    }
    training = vertex.pipelines.create_training_pipeline(
        {"parent": PARENT, "training_pipeline": {**pipeline}},
    )
    vertex.advance(300)
    other = successor(make_vertex, vertex, later=86_400)
    assert other.jobs.get_custom_job({"name": job.name}).state == JobState.JOB_STATE_RUNNING
    other.advance(360)
    other.advance(1)
    assert other.jobs.get_custom_job({"name": job.name}).state == JobState.JOB_STATE_SUCCEEDED
    assert other.jobs.get_custom_job({"name": bad.name}).state == JobState.JOB_STATE_FAILED
    done = other.pipelines.get_training_pipeline({"name": training.name})
    assert done.state == PipelineState.PIPELINE_STATE_SUCCEEDED
    assert other.models.get_model({"name": done.model_to_upload.name}).training_pipeline == training.name


def test_replicas_that_the_autoscaler_made_are_there_after_loading(
    make_vertex: MakeVertex, vertex: Vertex, serving: str
) -> None:
    resources = {"machine_spec": {"machine_type": "n1-standard-4"}, "min_replica_count": 1, "max_replica_count": 5}
    vertex.deploy(serving, "22", deployed_model={"dedicated_resources": resources})
    fleet = vertex.emulator._fleet
    meter = fleet.find(f"{STORED}/endpoints/serving", "22")
    assert meter is not None
    for _ in range(6000):
        meter.meter.arrive()
    vertex.advance(15)
    vertex.advance(60)
    before = {
        d.id: d.status.available_replica_count for d in vertex.endpoints.get_endpoint(name=serving).deployed_models
    }
    assert before["22"] == 5
    assert meter.meter.take() == Usage(0, 0)
    other = successor(make_vertex, vertex, later=3600)
    after = {d.id: d.status.available_replica_count for d in other.endpoints.get_endpoint(name=serving).deployed_models}
    assert after == before


def test_model_servers_are_started_again_before_loading_returns(make_vertex: MakeVertex, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.json").write_text(json.dumps({"weight": 3}))
    vertex = make_vertex(Config(images={"docker/relevance": SERVER}, buckets=tmp_path))
    container = {"image_uri": "docker/relevance", "predict_route": "/predict", "health_route": "/health"}
    vertex.upload(container_spec=container, artifact_uri="gs://m")
    endpoint = vertex.endpoint()
    started = vertex.start_deploy(endpoint, "11", traffic_split={"0": 100})
    while not vertex.operation(started.operation.name).done:
        vertex.advance(300)
    other = successor(make_vertex, vertex)
    assert other.predict(endpoint, {"x": 2}).predictions == vertex.predict(endpoint, {"x": 2}).predictions


def test_reset_forgets_everything_and_ids_begin_anew(make_vertex: MakeVertex, vertex: Vertex) -> None:
    fresh = saved(vertex)
    vertex.upload()
    endpoint = vertex.endpoint()
    vertex.deploy(endpoint, "11")
    vertex.start_deploy(endpoint, "22")
    custom = vertex.jobs.create_custom_job({"parent": PARENT, "custom_job": {"display_name": "train"}})
    vertex.emulator.reset()
    assert {**saved(vertex), "time": ""} == {**fresh, "time": ""}
    with pytest.raises(exceptions.NotFound):
        vertex.jobs.get_custom_job({"name": custom.name})
    with pytest.raises(exceptions.NotFound):
        vertex.predict(endpoint)
    vertex.upload()
    assert vertex.endpoint() == endpoint


def test_something_else_than_a_saved_state_is_refused_and_changes_nothing(vertex: Vertex, serving: str) -> None:
    with pytest.raises(ApiError, match="not a saved state: its format is None"):
        vertex.emulator.load({"models": []})
    assert vertex.predict(serving).deployed_model_id == "11"
