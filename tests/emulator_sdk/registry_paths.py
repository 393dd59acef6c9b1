"""Models, versions and aliases through the SDK."""

from __future__ import annotations

from tests.emulator_sdk.catalogue import Sdk, code_path

_REGISTRY = "python-aiplatform samples/model-builder/model_registry/"
_BUILDER = "python-aiplatform samples/model-builder/"


@code_path(_BUILDER + "upload_model_sample.py")
def upload_with_everything_the_container_needs(sdk: Sdk) -> None:
    model = sdk.upload(
        description="scores relevance",
        serving_container_predict_route="/predict",
        serving_container_health_route="/health",
        serving_container_command=["python"],
        serving_container_args=["-m", "serve"],
        serving_container_ports=[8080],
        instance_schema_uri="gs://models/instance.yaml",
        labels={"team": "search"},
        sync=False,
    )
    model.wait()
    assert model.version_id == "1"
    assert model.version_aliases == ["default"]
    assert model.description == "scores relevance"
    assert model.container_spec.predict_route == "/predict"
    assert [entry.container_port for entry in model.container_spec.ports] == [8080]
    assert model.labels == {"team": "search"}
    assert model.resource_name.startswith("projects/123456789012/"), "names carry the project's number"


@code_path(_REGISTRY + "upload_new_default_model_version_sample.py (its two misspelt arguments corrected)")
def upload_a_new_default_version(sdk: Sdk) -> None:
    first = sdk.upload()
    second = sdk.upload(parent_model=first.resource_name)
    assert (second.version_id, second.version_aliases) == ("2", ["default"])
    assert sdk.aiplatform.Model(f"{first.resource_name}@1").version_aliases == []


@code_path(_REGISTRY + "upload_new_aliased_model_version_sample.py (its two misspelt arguments corrected)")
def upload_a_version_with_aliases_and_a_description(sdk: Sdk) -> None:
    first = sdk.upload()
    second = sdk.upload(
        parent_model=first.resource_name,
        is_default_version=False,
        version_aliases=["candidate", "run-17"],
        version_description="trained on March",
    )
    assert second.versioned_resource_name.endswith("@2")
    assert sorted(second.version_aliases) == ["candidate", "run-17"]
    assert second.version_description == "trained on March"
    assert sdk.aiplatform.Model(first.resource_name).version_id == "1", "the default is still the first"


@code_path(_BUILDER + "get_model_sample.py")
def get_a_model_by_its_id(sdk: Sdk) -> None:
    model = sdk.upload(display_name="by-id")
    assert sdk.aiplatform.Model(model_name=model.name).display_name == "by-id"


@code_path(_REGISTRY + "create_default_model_sample.py")
def get_the_default_version(sdk: Sdk) -> None:
    model = sdk.two_versions()
    assert sdk.aiplatform.Model(model_name=model.name).version_id == "1"


@code_path(_REGISTRY + "create_aliased_model_sample.py")
def get_a_version_by_number_and_by_alias(sdk: Sdk) -> None:
    model = sdk.two_versions()
    assert sdk.aiplatform.Model(model_name=model.name, version="2").version_aliases == ["green"]
    assert sdk.aiplatform.Model(model_name=model.name, version="green").version_id == "2"
    assert sdk.aiplatform.Model(f"{model.resource_name}@blue").version_id == "1"


@code_path(_REGISTRY + "create_model_registry_sample.py, get_registered_model_version_sample.py")
def get_a_version_through_the_registry(sdk: Sdk) -> None:
    registry = sdk.aiplatform.models.ModelRegistry(model=sdk.two_versions().name)
    assert registry.get_model(version="2").version_id == "2"
    assert registry.get_model().version_id == "1"


@code_path(_REGISTRY + "get_model_version_info_sample.py")
def get_what_is_known_of_a_version(sdk: Sdk) -> None:
    registry = sdk.aiplatform.models.ModelRegistry(model=sdk.two_versions().name)
    info = registry.get_version_info(version="green")
    assert (info.version_id, info.version_aliases, info.model_display_name) == ("2", ["green"], "scorer")
    assert info.version_create_time <= info.version_update_time


@code_path(_REGISTRY + "list_model_versions_with_model_registry_sample.py")
def list_the_versions(sdk: Sdk) -> None:
    registry = sdk.aiplatform.models.ModelRegistry(model=sdk.two_versions().name)
    assert [entry.version_id for entry in registry.list_versions()] == ["1", "2"]


@code_path(_REGISTRY + "assign_aliases_model_version_sample.py")
def an_alias_that_is_added_leaves_the_other_version(sdk: Sdk) -> None:
    registry = sdk.aiplatform.models.ModelRegistry(model=sdk.two_versions().name)
    registry.add_version_aliases(new_aliases=["blue", "default"], version="2")
    assert sorted(registry.get_version_info("2").version_aliases) == ["blue", "default", "green"]
    assert registry.get_version_info("1").version_aliases == []


@code_path(_REGISTRY + "delete_aliases_model_version_sample.py")
def aliases_are_removed_but_never_the_default(sdk: Sdk) -> None:
    registry = sdk.aiplatform.models.ModelRegistry(model=sdk.two_versions().name)
    registry.remove_version_aliases(target_aliases=["green"], version="2")
    assert registry.get_version_info("2").version_aliases == []
    sdk.refuses("FailedPrecondition", lambda: registry.remove_version_aliases(["default"], "1"), code=400)


@code_path(_REGISTRY + "delete_model_version_sample.py")
def delete_one_version(sdk: Sdk) -> None:
    registry = sdk.aiplatform.models.ModelRegistry(model=sdk.two_versions().name)
    registry.delete_version(version="1")
    (left,) = registry.list_versions()
    assert (left.version_id, sorted(left.version_aliases)) == ("2", ["default", "green"])
    sdk.refuses("FailedPrecondition", lambda: registry.delete_version("2"), code=400)


@code_path(_REGISTRY + "delete_model_sample.py")
def delete_a_model(sdk: Sdk) -> None:
    model = sdk.two_versions()
    sdk.aiplatform.Model(model_name=model.name).delete()
    sdk.refuses("NotFound", lambda: sdk.aiplatform.Model(model_name=model.name), code=404)


@code_path("vertex-ai-samples notebooks/official/model_registry/get_started_with_model_registry.ipynb")
def the_registry_notebook(sdk: Sdk) -> None:
    model = sdk.upload(display_name="notebook", is_default_version=True, version_aliases=["v1"])
    sdk.upload(parent_model=model.resource_name, is_default_version=False, version_aliases=["v2"])
    registry = model.versioning_registry
    assert [entry.version_id for entry in registry.list_versions()] == ["1", "2"]
    endpoint = sdk.endpoint(labels={"your_key": "your_value"})
    endpoint.deploy(model=model, deployed_model_display_name="example_", machine_type="n1-standard-4")
    (deployed,) = endpoint.gca_resource.deployed_models
    assert endpoint.traffic_split == {deployed.id: 100}, "a first model without a share gets everything"
    sdk.refuses("FailedPrecondition", model.delete, code=400)
    endpoint.undeploy(deployed.id)
    registry.delete_version("2")
    model.delete()
    endpoint.undeploy_all()
    endpoint.delete()


@code_path("python-aiplatform samples/model-builder/upload_model_explain_tabular_managed_container_sample.py")
def upload_with_an_explanation_specification(sdk: Sdk) -> None:
    model = sdk.upload(**explanation(sdk))
    stored = sdk.aiplatform.Model(model.resource_name).gca_resource.explanation_spec
    assert stored.parameters.sampled_shapley_attribution.path_count == 5


@code_path()
def list_models_by_filter_and_order(sdk: Sdk) -> None:
    for name in ("listed-b", "listed-a"):
        sdk.upload(display_name=name, labels={"list": sdk.transport})
    found = sdk.aiplatform.Model.list(filter=f"labels.list={sdk.transport}", order_by="display_name")
    assert [model.display_name for model in found] == ["listed-a", "listed-b"]
    assert len(sdk.aiplatform.Model.list(filter='display_name="listed-a"')) >= 1


@code_path()
def update_a_model(sdk: Sdk) -> None:
    model = sdk.upload()
    model.update(display_name="renamed", description="new", labels={"stage": "test"})
    found = sdk.aiplatform.Model(model.resource_name)
    assert (found.display_name, found.description, found.labels) == ("renamed", "new", {"stage": "test"})


@code_path()
def copy_a_model_to_another_region(sdk: Sdk) -> None:
    model = sdk.two_versions()
    copied = model.copy(destination_location="europe-west4")
    assert "/locations/europe-west4/models/" in copied.resource_name
    assert copied.gca_resource.model_source_info.copy is True
    assert copied.gca_resource.original_model_info.model == f"{model.resource_name}@1"


@code_path()
def export_a_model(sdk: Sdk) -> None:
    model = sdk.upload()
    (format_,) = model.supported_export_formats
    output = model.export_model(export_format_id=format_, artifact_destination="gs://models/exported")
    assert output["artifactOutputUri"].startswith("gs://models/exported/model-export-scorer-")
    sdk.refuses("InvalidArgument", lambda: _export_as(sdk, model, "tflite"), code=400)


@code_path()
def the_same_id_twice_is_refused(sdk: Sdk) -> None:
    name = f"taken-{sdk.transport}"
    sdk.upload(model_id=name)
    sdk.refuses("AlreadyExists", lambda: sdk.upload(model_id=name), code=409)


@code_path()
def labels_and_aliases_that_break_the_rules_are_refused(sdk: Sdk) -> None:
    sdk.refuses("InvalidArgument", lambda: sdk.upload(labels={"Team": "x"}), code=400)
    sdk.refuses("InvalidArgument", lambda: sdk.upload(version_aliases=["1"]), code=400)


def _export_as(sdk: Sdk, model: object, format_: str) -> None:
    """Ask the service directly: the SDK looks at the model's formats first."""
    request = {
        "name": getattr(model, "resource_name", ""),
        "output_config": {
            "export_format_id": format_,
            "artifact_destination": {"output_uri_prefix": "gs://models/exported"},
        },
    }
    getattr(model, "api_client").export_model(request)  # noqa: B009  (the SDK's objects have no static types)


def explanation(sdk: Sdk) -> dict[str, object]:
    """Return the two arguments that make a model explain."""
    explain = sdk.aiplatform.explain
    return {
        "explanation_metadata": explain.ExplanationMetadata(inputs={"x": {}}, outputs={"score": {}}),
        "explanation_parameters": explain.ExplanationParameters({"sampled_shapley_attribution": {"path_count": 5}}),
    }
