"""What is generated in the documentation is what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import generate
from shared.policy.loading import load_policies


@pytest.mark.parametrize("path", generate.documents(), ids=lambda path: path.name)
def test_a_document_is_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert generate.generated(text) == text, f"{path.name} is out of date; write it anew with: python -m docs.generate"


def test_every_key_of_a_policy_stands_in_the_reference() -> None:
    text = (generate.ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    missing = [section for section in generate.sections() if f"<!-- generated: keys:{section} -->" not in text]
    assert missing == []


def test_every_key_of_a_policy_is_explained_and_no_explanation_is_left_over() -> None:
    assert generate.undescribed() == (set(), set()), "add the key to docs/words.py, or explain it in shared/policy"


def test_the_policies_to_copy_are_valid() -> None:
    folder = generate.ROOT / "docs" / "policies"
    assert {one.policy.model for one in load_policies([folder])} >= {
        "every-key",
        "fraud",
        "ranking",
        "credit-score",
        "search-ranking",
        "shop-ranking",
    }


@pytest.mark.parametrize("name", generate.published())
def test_a_published_schema_is_up_to_date(name: str) -> None:
    text = (generate.ROOT / "docs" / name).read_text(encoding="utf-8")
    assert text == generate.published()[name], f"{name} is out of date; write it anew with: python -m docs.generate"
