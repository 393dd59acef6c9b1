"""The site is the documents of the repository, its links kept; tests/browser/test_site.py looks at it as it is built."""

from __future__ import annotations

import re

import yaml

from docs import site
from docs.generate import ROOT


def test_links_between_documents_become_links_between_pages() -> None:
    places = site.pages()
    text = "See [the policy](docs/policy.md#units), [![x](docs/event-flow.svg)](docs/architecture.md) and [code](shared/text.py#L3)."
    assert site.rewritten(text, "README.md", places) == (
        "See [the policy](policy.md#units), [![x](event-flow.svg)](architecture.md) and code."
    )
    assert site.rewritten("[up](../../README.md#try-it)", "docs/adr/index.md", places) == "[up](../index.md#try-it)"


def test_code_and_links_to_elsewhere_are_left_alone() -> None:
    text = "[a](https://example.com/x) [b](#here)\n```text\n[c](docs/policy.md)\n```\n"
    assert site.rewritten(text, "README.md", site.pages()) == text


def test_files_without_a_page_lead_to_the_repository_where_it_is_known() -> None:
    place = "https://example.com/rollouts/blob/main/"
    found = site.rewritten("[code](../shared/text.py)", "docs/policy.md", site.pages(), place)
    assert found == "[code](https://example.com/rollouts/blob/main/shared/text.py)"


def _named(nav: object) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    inner = nav if isinstance(nav, list) else list(nav.values()) if isinstance(nav, dict) else []
    return {page for one in inner for page in _named(one)}


def test_every_document_is_in_the_navigation() -> None:
    text = re.sub(r"!!python/\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = _named(yaml.safe_load(text)["nav"])
    written = {page for page in site.pages().values() if page.endswith(".md") and not re.match(r"adr/\d", page)}
    assert named == written
