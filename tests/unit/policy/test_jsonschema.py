"""The published JSON Schema is the one that the code generates, and agrees with it on the examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from shared.policy.jsonschema import policy_json_schema, policy_json_schema_text
from shared.policy.loading import load_policies
from tests.unit.policy.files import EXAMPLES, ROOT

PUBLISHED = ROOT / "docs" / "policy.schema.json"
EXAMPLE_POLICIES = load_policies([EXAMPLES])


def test_the_published_schema_is_the_present_one() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == policy_json_schema_text(), (
        "docs/policy.schema.json is out of date; write it anew with: rollouts schema > docs/policy.schema.json"
    )


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(policy_json_schema())


@pytest.mark.parametrize("one", EXAMPLE_POLICIES, ids=lambda one: one.policy.model)
def test_the_examples_are_valid_as_they_are_written_and_as_they_are_stored(one: Any) -> None:
    validator = Draft202012Validator(policy_json_schema())
    written = json.loads(json.dumps(one.document.value))  # a JSON object's keys are text, also where YAML's are numbers
    assert list(validator.iter_errors(written)) == []
    assert list(validator.iter_errors(json.loads(one.policy.model_dump_json(exclude_none=True)))) == []


def test_an_editor_sees_the_mistakes_of_single_keys() -> None:
    written = json.loads(json.dumps(EXAMPLE_POLICIES[0].document.value))
    written["rollout"] |= {"drift": "stop", "stages": [{"traffic": 0, "bake": ""}], "retries": 3}
    paths = {
        ".".join(map(str, e.absolute_path)) for e in Draft202012Validator(policy_json_schema()).iter_errors(written)
    }
    assert paths == {"rollout", "rollout.drift", "rollout.stages.0.traffic", "rollout.stages.0.bake"}


def test_every_key_of_a_rollout_that_is_explained_in_the_source_is_explained_in_the_schema() -> None:
    properties = policy_json_schema()["$defs"]["Standby"]["properties"]
    assert properties["for"]["description"] == "How long it is kept at all; the watch."
    assert properties["hold"]["description"].startswith("How long it keeps the replicas")
