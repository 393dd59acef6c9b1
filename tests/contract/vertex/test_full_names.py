from __future__ import annotations

import pytest

from shared.errors import PermanentError
from shared.rollout.observed import ModelVersion, TargetRef
from shared.vertex import full_names


def test_names_are_built_from_ids() -> None:
    assert full_names.endpoint(TargetRef("p", "europe-west4", "e")) == "projects/p/locations/europe-west4/endpoints/e"
    assert full_names.model("p", "r", "m") == "projects/p/locations/r/models/m"
    assert full_names.version(ModelVersion("p", "r", "m", "3")) == "projects/p/locations/r/models/m@3"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("projects/1/locations/r/models/m@2", ("m", "2")),
        ("projects/1/locations/r/models/m", ("m", "")),
        ("m@candidate", ("m", "candidate")),
    ],
)
def test_a_model_name_is_taken_apart(name: str, parts: tuple[str, str]) -> None:
    assert full_names.split_model(name) == parts


def test_the_version_of_a_reply_is_in_a_field_or_in_the_name_or_nowhere() -> None:
    assert full_names.model_at("a/models/m", "4") == "m@4"
    assert full_names.model_at("a/models/m@5", "") == "m@5"
    assert full_names.model_at("a/models/m", "") == "m"


def test_a_reply_gets_the_project_of_the_request() -> None:
    given = "projects/123456/locations/r/customJobs/9"
    assert full_names.of_project(given, "my-project") == "projects/my-project/locations/r/customJobs/9"


def test_an_operations_region_is_in_its_name() -> None:
    assert full_names.region_of("projects/1/locations/us-east1/endpoints/e/operations/7") == "us-east1"
    with pytest.raises(PermanentError, match="'operations/7' names no region"):
        full_names.region_of("operations/7")
