"""Models and versions behave as ModelService's protocol says (google/cloud/aiplatform_v1/types/model_service.py, model.py)."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions

from tests.emulator.conftest import PARENT, STORED, MakeVertex, Vertex
from vertex_emulator.config import Config

NAME = f"{STORED}/models/relevance"


def merge(vertex: Vertex, name: str, *aliases: str) -> Any:
    return vertex.models.merge_version_aliases({"name": name, "version_aliases": list(aliases)})


def aliases(vertex: Vertex) -> dict[str, list[str]]:
    return {m.version_id: sorted(m.version_aliases) for m in vertex.models.list_model_versions({"name": NAME})}


def update(vertex: Vertex, name: str, *paths: str, **fields: Any) -> Any:
    return vertex.models.update_model({"model": {"name": name, **fields}, "update_mask": {"paths": list(paths)}})


def test_a_model_is_invisible_until_its_upload_is_done(vertex: Vertex) -> None:
    started = vertex.models.upload_model({"parent": PARENT, "model_id": "relevance", "model": {"display_name": "R"}})
    vertex.advance(59)
    assert not vertex.operation(started.operation.name).done
    with pytest.raises(exceptions.NotFound):
        vertex.models.get_model({"name": f"{PARENT}/models/relevance"})
    assert not list(vertex.models.list_models({"parent": PARENT}))
    vertex.advance(1)
    assert vertex.models.get_model({"name": f"{PARENT}/models/relevance"}).version_id == "1"


def test_names_in_answers_carry_the_project_number_and_the_response_no_version(vertex: Vertex) -> None:
    response = vertex.upload()
    assert (response.model, response.model_version_id) == (NAME, "1")
    assert vertex.models.get_model({"name": f"{PARENT}/models/relevance"}).name == NAME
    assert [m.name for m in vertex.models.list_models({"parent": PARENT})] == [NAME]
    assert [m.name for m in vertex.models.list_model_versions({"name": NAME})] == [f"{NAME}@1"]


def test_an_operation_is_named_below_the_model(vertex: Vertex) -> None:
    started = vertex.models.upload_model({"parent": PARENT, "model_id": "relevance", "model": {"display_name": "R"}})
    assert started.operation.name.startswith(f"{NAME}/operations/")


@pytest.mark.parametrize("in_flight", [True, False])
def test_a_model_id_that_is_taken_already_exists(vertex: Vertex, in_flight: bool) -> None:
    request = {"parent": PARENT, "model_id": "relevance", "model": {"display_name": "R"}}
    vertex.models.upload_model(request)
    if not in_flight:
        vertex.advance(60)
    with pytest.raises(exceptions.AlreadyExists):
        vertex.models.upload_model(request)


def test_a_failed_upload_frees_its_id_and_leaves_nothing(vertex: Vertex) -> None:
    vertex.emulator.faults.fail_operation("UploadModel", message="out of quota")
    with pytest.raises(exceptions.ResourceExhausted, match="out of quota"):
        vertex.upload()
    assert not list(vertex.models.list_models({"parent": PARENT}))
    assert vertex.upload().model_version_id == "1"


@pytest.mark.parametrize("model_id", ["1abc", "-abc", "Upper", "with.dot", "x" * 64])
def test_a_model_id_outside_the_rules_is_refused(vertex: Vertex, model_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="model_id"):
        vertex.upload(model_id)


def test_only_the_first_version_gets_default_by_itself(vertex: Vertex) -> None:
    vertex.upload(version_aliases=["candidate"])
    vertex.upload(parent_model=NAME, version_aliases=["candidate"])
    assert aliases(vertex) == {"1": ["default"], "2": ["candidate"]}
    assert vertex.models.get_model({"name": NAME}).version_id == "1"
    assert vertex.models.get_model({"name": f"{NAME}@candidate"}).version_id == "2"
    assert vertex.models.get_model({"name": f"{NAME}@2"}).version_id == "2"


def test_an_upload_that_asks_for_default_takes_it(vertex: Vertex) -> None:
    vertex.upload()
    vertex.upload(parent_model=NAME, version_aliases=["default"])
    assert aliases(vertex) == {"1": [], "2": ["default"]}


def test_a_parent_model_that_does_not_exist_is_not_found(vertex: Vertex) -> None:
    with pytest.raises(exceptions.NotFound):
        vertex.upload(parent_model=NAME)


def test_version_numbers_are_never_used_again(vertex: Vertex) -> None:
    vertex.upload()
    vertex.upload(parent_model=NAME)
    vertex.models.delete_model_version({"name": f"{NAME}@2"})
    vertex.advance(60)
    assert vertex.upload(parent_model=NAME).model_version_id == "3"


def test_an_alias_moves_from_the_version_that_held_it(vertex: Vertex) -> None:
    vertex.upload()
    vertex.upload(parent_model=NAME)
    merge(vertex, f"{NAME}@1", "champion")
    merge(vertex, f"{NAME}@2", "champion", "default")
    assert aliases(vertex) == {"1": [], "2": ["champion", "default"]}


def test_a_leading_hyphen_removes_an_alias_and_add_with_remove_cancels_out(vertex: Vertex) -> None:
    vertex.upload(version_aliases=["golden", "candidate"])
    merged = merge(vertex, f"{NAME}@1", "-candidate", "fresh", "-fresh")
    assert sorted(merged.version_aliases) == ["default", "golden"]


@pytest.mark.parametrize("name", [NAME, f"{NAME}@default"])
def test_merging_aliases_needs_the_version_id_itself(vertex: Vertex, name: str) -> None:
    vertex.upload()
    with pytest.raises(exceptions.InvalidArgument, match="explicitly"):
        merge(vertex, name, "champion")


def test_a_model_cannot_lose_its_default(vertex: Vertex) -> None:
    vertex.upload()
    with pytest.raises(exceptions.FailedPrecondition):
        merge(vertex, f"{NAME}@1", "-default")


@pytest.mark.parametrize("alias", ["1", "a", "Upper", "ends-", "dot.ted"])
def test_an_alias_outside_the_pattern_is_refused(vertex: Vertex, alias: str) -> None:
    vertex.upload()
    with pytest.raises(exceptions.InvalidArgument, match="alias"):
        merge(vertex, f"{NAME}@1", alias)


def test_model_labels_and_version_labels_are_merged_on_read(vertex: Vertex) -> None:
    vertex.upload(labels={"vr-run": "r1"})
    vertex.upload(parent_model=NAME, labels={"vr-run": "r2"})
    update(vertex, NAME, "labels", labels={"team": "arr-coc"})
    update(vertex, f"{NAME}@2", "labels", labels={"vr-run": "r3"})
    seen = {m.version_id: dict(m.labels) for m in vertex.models.list_model_versions({"name": NAME})}
    assert seen == {"1": {"team": "arr-coc", "vr-run": "r1"}, "2": {"team": "arr-coc", "vr-run": "r3"}}


def test_versions_are_filtered_by_label_only(vertex: Vertex) -> None:
    vertex.upload(labels={"vr-run": "r1"})
    vertex.upload(parent_model=NAME, labels={"vr-run": "r2"})
    found = vertex.models.list_model_versions({"name": NAME, "filter": "labels.vr-run=r2"})
    assert [m.version_id for m in found] == ["2"]
    with pytest.raises(exceptions.InvalidArgument, match="display_name"):
        vertex.models.list_model_versions({"name": NAME, "filter": 'display_name="x"'})


def test_a_model_update_and_a_version_update_do_not_mix(vertex: Vertex) -> None:
    vertex.upload()
    assert update(vertex, f"{NAME}@-", "display_name", display_name="New").display_name == "New"
    described = update(vertex, f"{NAME}@1", "version_description", version_description="trained on v3")
    assert described.version_description == "trained on v3"
    with pytest.raises(exceptions.FailedPrecondition):
        update(vertex, NAME, "version_description", version_description="x")
    with pytest.raises(exceptions.FailedPrecondition):
        update(vertex, f"{NAME}@1", "display_name", display_name="x")
    with pytest.raises(exceptions.InvalidArgument, match="version_aliases"):
        update(vertex, f"{NAME}@1", "version_aliases", version_aliases=["xx"])


@pytest.mark.parametrize(
    "labels",
    [{"Upper": "x"}, {"k": "with.dot"}, {"k": "a@b"}, {"k": "x" * 65}, {"1k": "x"}, {f"k{i}": "" for i in range(65)}],
)
def test_labels_outside_the_rules_are_refused(vertex: Vertex, labels: dict[str, str]) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=r"[Ll]abel"):
        vertex.upload(labels=labels)


def test_labels_may_hold_a_commit_a_date_and_international_letters(vertex: Vertex) -> None:
    labels = {"commit": "0a1b2c", "when": "2026-09-08t10-00", "größe": "klein", "empty": ""}
    vertex.upload(labels=labels)
    assert dict(vertex.models.get_model({"name": NAME}).labels) == labels


def test_the_last_version_and_a_deployed_version_cannot_be_deleted(vertex: Vertex) -> None:
    vertex.upload()
    with pytest.raises(exceptions.FailedPrecondition, match="only version"):
        vertex.models.delete_model_version({"name": f"{NAME}@1"})
    vertex.upload(parent_model=NAME)
    endpoint = vertex.endpoint()
    vertex.deploy(endpoint, "11", "relevance@1")
    with pytest.raises(exceptions.FailedPrecondition, match="deployed"):
        vertex.models.delete_model_version({"name": f"{NAME}@1"})
    with pytest.raises(exceptions.FailedPrecondition, match="deployed"):
        vertex.models.delete_model({"name": NAME})
    view = vertex.models.get_model({"name": f"{NAME}@1"})
    assert [(d.endpoint, d.deployed_model_id) for d in view.deployed_models] == [(endpoint, "11")]


def test_deleting_the_default_version_moves_default_to_the_most_recent(vertex: Vertex) -> None:
    vertex.upload()
    vertex.upload(parent_model=NAME)
    vertex.upload(parent_model=NAME)
    vertex.models.delete_model_version({"name": f"{NAME}@1"})
    vertex.advance(60)
    assert aliases(vertex) == {"2": [], "3": ["default"]}


def test_a_deleted_model_is_gone_when_the_operation_is_done(vertex: Vertex) -> None:
    vertex.upload()
    started = vertex.models.delete_model({"name": NAME})
    assert vertex.models.get_model({"name": NAME})
    vertex.advance(60)
    vertex.finished(started)
    with pytest.raises(exceptions.NotFound):
        vertex.models.get_model({"name": NAME})


def test_what_is_deleted_twice_is_not_found_the_second_time(vertex: Vertex) -> None:
    vertex.upload()
    vertex.upload(parent_model=NAME)
    vertex.upload(parent_model=NAME)
    for name, delete in ((f"{NAME}@2", vertex.models.delete_model_version), (NAME, vertex.models.delete_model)):
        first, second = delete({"name": name}), delete({"name": name})
        vertex.advance(60)
        vertex.finished(first)
        with pytest.raises(exceptions.NotFound):
            vertex.finished(second)


def test_models_are_listed_by_filter_order_and_page(vertex: Vertex) -> None:
    for number in range(5):
        vertex.upload(f"model-{number}", display_name=f"Model {number}", labels={"parity": str(number % 2)})
    listed = vertex.models.list_models(
        {"parent": PARENT, "filter": "labels.parity=0", "order_by": "display_name desc", "page_size": 2}
    )
    assert [m.display_name for m in listed] == ["Model 4", "Model 2", "Model 0"]
    assert [m.name[-7:] for m in vertex.models.list_models({"parent": PARENT, "filter": "model=model-3"})] == [
        "model-3"
    ]
    assert not list(vertex.models.list_models({"parent": "projects/local-project/locations/europe-west4"}))


def test_an_evaluation_belongs_to_its_version(vertex: Vertex) -> None:
    vertex.upload()
    vertex.upload(parent_model=NAME)
    evaluation = {"display_name": "offline", "metrics_schema_uri": "gs://schemas/metrics.yaml", "metrics": {"auc": 0.9}}
    made = vertex.models.import_model_evaluation({"parent": f"{NAME}@2", "model_evaluation": evaluation})
    assert made.name.startswith(f"{NAME}/evaluations/")
    assert [e.name for e in vertex.models.list_model_evaluations({"parent": f"{NAME}@2"})] == [made.name]
    assert not list(vertex.models.list_model_evaluations({"parent": f"{NAME}@1"}))
    assert dict(vertex.models.get_model_evaluation({"name": made.name}).metrics) == {"auc": 0.9}
    with pytest.raises(exceptions.NotFound):
        vertex.models.get_model_evaluation({"name": f"{NAME}/evaluations/1"})


def test_a_copy_in_another_region_remembers_where_it_came_from(vertex: Vertex) -> None:
    vertex.upload(artifact_uri="gs://bucket/model", labels={"vr-run": "r1"})
    started = vertex.models.copy_model(
        {"parent": "projects/local-project/locations/europe-west4", "source_model": NAME, "model_id": "relevance"}
    )
    vertex.advance(60)
    copied = vertex.models.get_model({"name": vertex.finished(started).model})
    assert copied.name == "projects/123456789012/locations/europe-west4/models/relevance"
    assert copied.original_model_info.model == f"{NAME}@1"
    assert copied.model_source_info.copy
    assert (copied.artifact_uri, dict(copied.labels)) == ("gs://bucket/model", {"vr-run": "r1"})


def test_projects_that_are_not_configured_get_a_number_of_their_own(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(projects={"one": "111111111111"}))
    for project in ("one", "two"):
        vertex.models.upload_model(
            {"parent": f"projects/{project}/locations/us-central1", "model_id": "m", "model": {"display_name": "M"}}
        )
    vertex.advance(60)
    assert (
        vertex.models.get_model({"name": "projects/one/locations/us-central1/models/m"}).name.split("/")[1] == "1" * 12
    )
    number = vertex.models.get_model({"name": "projects/two/locations/us-central1/models/m"}).name.split("/")[1]
    assert number.isdigit()
    assert vertex.models.get_model({"name": f"projects/{number}/locations/us-central1/models/m"}).version_id == "1"
