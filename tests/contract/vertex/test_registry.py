from __future__ import annotations

from dataclasses import replace

import grpc
import pytest

from shared.errors import AlreadyExistsError, NotFoundError, TransientError
from shared.policy.schema import Container
from shared.rollout.observed import ModelVersion
from shared.vertex.registry import UploadSpec
from tests.contract.vertex.local_vertex import PROJECT, REGION, LocalVertex

PIPELINE = f"projects/{PROJECT}/locations/{REGION}/pipelineJobs/train-1"
SPEC = UploadSpec(
    project=PROJECT,
    region=REGION,
    model_id="relevance",
    is_new_model=True,
    display_name="Relevance",
    container=Container(image="example/serving:1", env={"A": "b"}, args=["--fast"]),
    artifact_uri="gs://bucket/model",
    labels={"vr-run": "run-1", "team": "search"},
    version_aliases=("candidate", "default"),
    description="from run-1",
    pipeline_job=PIPELINE,
)


def upload(vertex: LocalVertex, spec: UploadSpec = SPEC) -> str:
    """Register a version and wait for it; its ``model@version``."""
    operation = vertex.registry.upload(spec)
    vertex.after(120)
    state = vertex.registry.operation(REGION, operation)
    assert (state.done, state.error) == (True, "")
    return state.result


def second(**changes: str) -> UploadSpec:
    return replace(SPEC, is_new_model=False, labels={**SPEC.labels, "vr-run": "run-2", **changes})


def test_a_version_is_invisible_until_its_upload_is_done(vertex: LocalVertex) -> None:
    operation = vertex.registry.upload(SPEC)
    assert not vertex.registry.operation(REGION, operation).done
    assert vertex.registry.versions(PROJECT, REGION, "relevance") == []
    vertex.after(120)
    assert vertex.registry.operation(REGION, operation).result == "relevance@1"
    (version,) = vertex.registry.versions(PROJECT, REGION, "relevance")
    assert (version.project, version.region, version.model, version.version) == (PROJECT, REGION, "relevance", "1")
    assert version.artifact_uri == "gs://bucket/model"
    assert version.labels == {"vr-run": "run-1", "team": "search"}
    assert version.created_at is not None


def test_a_candidate_never_takes_default_from_the_champion(vertex: LocalVertex) -> None:
    upload(vertex)
    assert upload(vertex, second()) == "relevance@2"
    first, new = vertex.registry.versions(PROJECT, REGION, "relevance")
    assert first.aliases == ("default",)
    assert new.aliases == ("candidate",)


def test_versions_are_found_by_label_and_by_alias(vertex: LocalVertex) -> None:
    upload(vertex)
    upload(vertex, second())
    found = vertex.registry.versions(PROJECT, REGION, "relevance", label=("vr-run", "run-2"))
    assert [version.version for version in found] == ["2"]
    candidate = vertex.registry.version(PROJECT, REGION, "relevance", "candidate")
    assert candidate == found[0]
    assert vertex.registry.version(PROJECT, REGION, "relevance", "9") is None
    assert vertex.registry.version(PROJECT, REGION, "absent", "1") is None


def test_more_versions_than_a_page_come_oldest_first(vertex: LocalVertex) -> None:
    upload(vertex)
    for _ in range(101):
        vertex.registry.upload(second())
    vertex.after(120)
    vertex.calls()
    versions = vertex.registry.versions(PROJECT, REGION, "relevance")
    assert [int(v.version) for v in versions] == list(range(1, 103))
    assert vertex.calls() == ["ListModelVersions"] * 2


def test_a_new_model_that_exists_by_then_is_not_overwritten(vertex: LocalVertex) -> None:
    upload(vertex)
    with pytest.raises(AlreadyExistsError):
        vertex.registry.upload(SPEC)
    assert len(vertex.registry.versions(PROJECT, REGION, "relevance")) == 1


def test_a_new_version_needs_its_model(vertex: LocalVertex) -> None:
    with pytest.raises(NotFoundError):
        vertex.registry.upload(second())


def test_an_upload_whose_answer_was_lost_is_not_sent_again(vertex: LocalVertex) -> None:
    vertex.emulator.faults.lose_answer("UploadModel")
    with pytest.raises(TransientError):
        vertex.registry.upload(SPEC)
    assert vertex.calls() == ["UploadModel"]
    vertex.after(120)
    assert len(vertex.registry.versions(PROJECT, REGION, "relevance", label=("vr-run", "run-1"))) == 1


def test_an_alias_moves_to_whoever_is_given_it(vertex: LocalVertex) -> None:
    upload(vertex)
    upload(vertex, second())
    first, new = vertex.registry.versions(PROJECT, REGION, "relevance")
    vertex.calls()

    promoted = vertex.registry.merge_aliases(new, add=("champion", "default"), remove=("candidate",))

    assert set(promoted.aliases) == {"champion", "default"}
    assert vertex.calls() == ["MergeVersionAliases"]
    assert vertex.registry.version(PROJECT, REGION, "relevance", "1") == replace(first, aliases=())


def test_no_change_of_aliases_is_no_call(vertex: LocalVertex) -> None:
    version = ModelVersion(PROJECT, REGION, "relevance", "1", aliases=("champion",))
    assert vertex.registry.merge_aliases(version) is version
    assert vertex.calls() == []


def test_labels_are_written_to_one_version_as_a_whole(vertex: LocalVertex) -> None:
    upload(vertex)
    upload(vertex, second())
    first, new = vertex.registry.versions(PROJECT, REGION, "relevance")
    assert vertex.registry.set_labels(new, {"vr-gate": "passed"}).labels == {"vr-gate": "passed"}
    unchanged = vertex.registry.version(PROJECT, REGION, "relevance", "1")
    assert unchanged
    assert unchanged.labels == first.labels


def test_an_evaluation_comes_back_with_flat_numbers_and_its_metadata(vertex: LocalVertex) -> None:
    upload(vertex)
    (version,) = vertex.registry.versions(PROJECT, REGION, "relevance")
    imported = vertex.registry.import_evaluation(version, {"relevance_auc": 0.91}, {"run": "run-1"}, "run-1")
    (found,) = vertex.registry.evaluations(version)
    assert found == imported
    assert found.metrics == {"relevance_auc": 0.91}
    assert found.metadata == {"run": "run-1"}
    assert found.created_at == vertex.now
    assert found.name.startswith(f"projects/{PROJECT}/locations/{REGION}/models/relevance")


def test_evaluations_of_another_version_are_not_mixed_in(vertex: LocalVertex) -> None:
    upload(vertex)
    upload(vertex, second())
    first, new = vertex.registry.versions(PROJECT, REGION, "relevance")
    vertex.registry.import_evaluation(first, {"auc": 0.8}, {}, "first")
    vertex.after(60)
    vertex.registry.import_evaluation(new, {"auc": 0.9}, {}, "new")
    vertex.after(60)
    vertex.registry.import_evaluation(new, {"auc": 0.95}, {}, "new, again")
    assert [evaluation.metrics["auc"] for evaluation in vertex.registry.evaluations(new)] == [0.9, 0.95]


def test_reading_goes_on_through_a_short_outage(vertex: LocalVertex, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(vertex)
    monkeypatch.setenv("CLOCK_RATE", "10")
    monkeypatch.setenv("CLOCK_ORIGIN", "0")
    vertex.emulator.faults.fail("ListModelVersions", grpc.StatusCode.UNAVAILABLE, times=2)
    assert len(vertex.registry.versions(PROJECT, REGION, "relevance")) == 1
