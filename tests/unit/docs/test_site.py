"""The site is the documents of the repository, its links kept, and asks nothing of another host."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import site
from docs.generate import ROOT

MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"


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


@pytest.mark.skipif(not MKDOCS.is_file(), reason="the site's builder is not installed (make docs)")
def test_the_site_is_built_without_a_warning_and_asks_no_other_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "OUT", ROOT / "build" / f"docs-{tmp_path.name}")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    config = ROOT / "build" / f"mkdocs-{tmp_path.name}.yml"
    try:
        assert site.main() == 0
        config.write_text(settings.replace("build/docs", str(site.OUT)).replace("build/site", str(tmp_path / "site")))
        command = [str(MKDOCS), "build", "--quiet", "--strict", "--config-file", str(config)]
        environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        subprocess.run(["rm", "-rf", site.OUT, config], check=True)
    asked = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=\"?(?:https?:)?//[^\s\">]+|url\(\"?(?:https?:)?//"
    )
    for path in [*(tmp_path / "site").rglob("*.html"), *(tmp_path / "site").rglob("*.css")]:
        assert not asked.search(path.read_text(encoding="utf-8")), path.name
