"""Jobs through the SDK, and what samples do with the typed clients beside it."""

from __future__ import annotations

import json

from tests.emulator_sdk.catalogue import SERVED_IMAGE, Sdk, code_path
from tests.emulator_sdk.endpoint_paths import typed_client

_BUILDER = "python-aiplatform samples/model-builder/"
_SNIPPETS = "python-aiplatform samples/snippets/"
PARENT = "projects/local-project/locations/us-central1"


@code_path(_BUILDER + "create_batch_prediction_job_sample.py")
def predict_in_a_batch(sdk: Sdk) -> None:
    _write_instances(sdk)
    job = sdk.upload().batch_predict(
        job_display_name="nightly", gcs_source=f"gs://batch-{sdk.transport}/*.jsonl", gcs_destination_prefix="gs://out"
    )
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert job.completion_stats.successful_count == 100
    directory = sdk.buckets / job.output_info.gcs_output_directory.removeprefix("gs://")
    lines = (directory / "prediction.results-00000-of-00001").read_text().splitlines()
    assert [json.loads(line)["instance"]["x"] for line in lines] == list(range(100))
    assert job.resource_name in {entry.resource_name for entry in sdk.aiplatform.BatchPredictionJob.list()}


@code_path(_BUILDER + "create_batch_prediction_job_dedicated_resources_sample.py")
def predict_in_a_batch_on_named_machines(sdk: Sdk) -> None:
    _write_instances(sdk)
    job = sdk.upload().batch_predict(
        job_display_name="nightly",
        gcs_source=f"gs://batch-{sdk.transport}/in.jsonl",
        gcs_destination_prefix="gs://out",
        instances_format="jsonl",
        machine_type="n1-standard-2",
        accelerator_count=1,
        accelerator_type="NVIDIA_TESLA_T4",
        starting_replica_count=1,
        sync=False,
    )
    job.wait()
    assert job.state.name == "JOB_STATE_SUCCEEDED"


@code_path()
def a_batch_whose_input_is_missing_fails(sdk: Sdk) -> None:
    model = sdk.upload()
    job = model.batch_predict(
        job_display_name="lost", gcs_source="gs://none/in.jsonl", gcs_destination_prefix="gs://out", sync=False
    )
    try:
        job.wait()
    except RuntimeError as error:
        assert "gs://none/in.jsonl" in str(error)
    else:
        raise AssertionError("the job should have failed")


@code_path("python-aiplatform samples/model-builder/model_registry/upload_new_model_version_using_custom_training_*.py")
def a_training_pipeline_uploads_its_model(sdk: Sdk) -> None:
    parent = sdk.upload()
    training = sdk.aiplatform.CustomContainerTrainingJob(
        display_name="train", container_uri="example.com/train:1", model_serving_container_image_uri=SERVED_IMAGE
    )
    model = training.run(
        args=["--epochs", "3"],
        replica_count=1,
        machine_type="n1-standard-4",
        base_output_dir="gs://models/trained",
        parent_model=parent.resource_name,
        model_version_aliases=["trained"],
        model_version_description="from a pipeline",
        is_default_version=False,
        model_display_name="trained",
    )
    assert (model.version_id, model.version_aliases) == ("2", ["trained"])
    assert model.gca_resource.training_pipeline == training.resource_name


@code_path(_BUILDER + "create_custom_job_*_sample.py (without persistent resource)")
def run_a_custom_job(sdk: Sdk) -> None:
    pool = {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": {"image_uri": "example.com/train:1"},
    }
    job = sdk.aiplatform.CustomJob(display_name="custom", worker_pool_specs=[pool], staging_bucket="gs://models")
    job.run()
    assert job.state.name == "JOB_STATE_SUCCEEDED"


@code_path(_SNIPPETS + "job_service/{create,get,cancel,delete}_custom_job_sample.py")
def a_custom_jobs_life_through_the_typed_client(sdk: Sdk) -> None:
    client = typed_client(sdk, "JobServiceClient")
    pool = {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": {"image_uri": "example.com/train:1"},
    }
    spec = {"display_name": "typed", "job_spec": {"worker_pool_specs": [pool]}, "labels": {"emulator-seconds": "600"}}
    job = client.create_custom_job(parent=PARENT, custom_job=spec)
    assert client.get_custom_job(name=job.name).display_name == "typed"
    client.cancel_custom_job(name=job.name)
    assert client.get_custom_job(name=job.name).state.name == "JOB_STATE_CANCELLED"
    client.delete_custom_job(name=job.name).result()
    sdk.refuses("NotFound", lambda: client.get_custom_job(name=job.name), code=404)


@code_path(_SNIPPETS + "model_service/{upload_model,get_model,delete_model}_sample.py")
def a_models_life_through_the_typed_client(sdk: Sdk) -> None:
    client = typed_client(sdk, "ModelServiceClient")
    model = {"display_name": "typed", "container_spec": {"image_uri": SERVED_IMAGE}, "artifact_uri": "gs://models/a"}
    uploaded = client.upload_model(parent=PARENT, model=model).result()
    assert client.get_model(name=uploaded.model).container_spec.image_uri == SERVED_IMAGE
    client.delete_model(name=uploaded.model).result()
    sdk.refuses("NotFound", lambda: client.get_model(name=uploaded.model), code=404)


@code_path(_SNIPPETS + "endpoint_service/{create_endpoint,deploy_model_custom_trained_model,delete_endpoint}_sample.py")
def an_endpoints_life_through_the_typed_client(sdk: Sdk) -> None:
    client = typed_client(sdk, "EndpointServiceClient")
    endpoint = client.create_endpoint(parent=PARENT, endpoint={"display_name": "typed"}).result().name
    deployed_model = {
        "model": sdk.upload().resource_name,
        "display_name": "typed",
        "dedicated_resources": {"min_replica_count": 1, "machine_spec": {"machine_type": "n1-standard-2"}},
    }
    made = client.deploy_model(endpoint=endpoint, deployed_model=deployed_model, traffic_split={"0": 100}).result()
    deployed_id = made.deployed_model.id
    change = {"id": deployed_id, "dedicated_resources": {"max_replica_count": 3}}
    mask = {"paths": ["dedicated_resources.max_replica_count"]}
    mutated = client.mutate_deployed_model(endpoint=endpoint, deployed_model=change, update_mask=mask).result()
    assert mutated.deployed_model.dedicated_resources.max_replica_count == 3
    logging = {"name": endpoint, "client_connection_config": {"inference_timeout": {"seconds": 900}}}
    updated = client.update_endpoint_long_running(endpoint=logging).result()
    assert updated.client_connection_config.inference_timeout.total_seconds() == 900
    client.undeploy_model(endpoint=endpoint, deployed_model_id=deployed_id).result()
    client.delete_endpoint(name=endpoint).result()


@code_path(_SNIPPETS + "model_service/get_model_evaluation_sample.py, list_model_evaluation_slices (evaluations only)")
def evaluations_of_a_version(sdk: Sdk) -> None:
    model = sdk.upload()
    client = typed_client(sdk, "ModelServiceClient")
    evaluation = {"metrics_schema_uri": "gs://schema/classification.yaml", "metrics": {"auPrc": 0.9}}
    client.import_model_evaluation(parent=model.versioned_resource_name, model_evaluation=evaluation)
    (listed,) = model.list_model_evaluations()
    assert dict(listed.metrics) == {"auPrc": 0.9}
    assert client.get_model_evaluation(name=listed.resource_name).metrics["auPrc"] == 0.9


def _write_instances(sdk: Sdk) -> None:
    directory = sdk.buckets / f"batch-{sdk.transport}"
    directory.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"x": number}) for number in range(100)]
    (directory / "in.jsonl").write_text("\n".join(lines) + "\n")
