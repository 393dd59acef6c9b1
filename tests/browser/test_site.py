"""The documentation site as it is built and read: every page, in both themes and at both widths."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, product
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from docs import site
from docs.generate import ROOT
from tests.browser.conftest import PHONE, WIDE, visiting
from tests.browser.test_page import picture

MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"
LIGHT, DARK = "light", "dark"
WAYS = list(product((LIGHT, DARK), (WIDE, PHONE)))
ASSESSED = {
    "index.html": [(LIGHT, WIDE), (DARK, PHONE)],
    "cli.html": [(DARK, WIDE)],
    "costs.html": [(LIGHT, PHONE)],
}
"""Pages with every kind of content, which axe looks at; the others would say the same again, and cost a minute (EVERY_PAGE=1: all, in every way)."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` makes, in a folder of its own."""
    if not MKDOCS.is_file():
        pytest.skip("the site's builder is not installed: make docs")
    out = tmp_path_factory.mktemp("site")
    config, source = ROOT / "build" / f"mkdocs-{out.parent.name}.yml", ROOT / "build" / f"docs-{out.parent.name}"
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "OUT", source)
        try:
            assert site.main() == 0
            for name, place in (
                ("build/docs", source),
                ("build/site", out),
                ("docs/site_hooks.py", ROOT / "docs/site_hooks.py"),
            ):
                settings = settings.replace(name, str(place))
            config.write_text(settings)
            command = [str(MKDOCS), "build", "--quiet", "--strict", "--config-file", str(config)]
            environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
            )
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            subprocess.run(["rm", "-rf", source, config], check=True)
    return out


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Faults are written down by the browser."""


@pytest.fixture
def address(built: Path) -> Iterator[str]:
    """Where the site is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(built)))
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_every_page_asks_nobody_else_leads_where_it_says_and_is_accessible(
    chromium: Any, built: Path, address: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    faults: list[str] = []
    broken: dict[str, list[Any]] = {}
    links: dict[str, set[str]] = {}
    anchors: dict[str, set[str]] = {}
    paths = sorted(path.relative_to(built).as_posix() for path in built.rglob("*.html") if path.name != "404.html")
    assert len(paths) > 30
    every = WAYS if os.environ.get("EVERY_PAGE") else []
    assessed = {path: {*ASSESSED.get(path, []), *every} for path in paths}
    plan = {path: assessed[path] or {way} for path, way in zip(paths, cycle(WAYS), strict=False)}
    for way in WAYS:
        theme, size = way
        with visiting(chromium, address, faults, size, theme) as page:
            for path in (path for path in paths if way in plan[path]):
                page.goto(f"{address}/{path}")
                scheme = page.locator("body").get_attribute("data-md-color-scheme")
                assert scheme == ("slate" if theme == DARK else "default")
                links[path] = set(page.evaluate("[...document.links].map(a => a.href)"))
                anchors[path] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)"))
                found = page.evaluate(
                    "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
                )
                if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                    found.append("wider than the screen")
                if way in assessed[path]:
                    violations = axe.run(page).response["violations"]
                    found += [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in violations]
                if found:
                    broken[f"{path} {theme} {size[0]}"] = found
                if path == "index.html":
                    picture(page, f"site-{theme}-{size[0]}")
    assert not broken
    assert not faults
    dead = {
        f"{path}: {link}"
        for path, found in links.items()
        for link in found
        if link.startswith(f"{address}/") and not _leads(link.removeprefix(f"{address}/"), built, anchors)
    }
    assert not dead


def _leads(link: str, built: Path, anchors: dict[str, set[str]]) -> bool:
    """Whether there is a page, with that place in it, or a file."""
    path, place = urldefrag(link)
    path = unquote(path) or "index.html"
    if path in anchors:
        return not place or unquote(place) in anchors[path]
    return (built / path).is_file()


def test_the_search_finds_without_asking_anybody(chromium: Any, address: str) -> None:
    faults: list[str] = []
    with visiting(chromium, address, faults) as page:
        page.goto(f"{address}/index.html")
        page.locator("input.md-search__input").click()
        page.keyboard.type("unfreeze")
        first = page.locator(".md-search-result__item a").first
        first.wait_for()
        assert "cli.html" in str(first.get_attribute("href"))
    assert not faults


def test_no_file_of_the_site_names_a_resource_of_another_host(built: Path) -> None:
    asked = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=\"?(?:https?:)?//[^\s\">]+|url\(\"?(?:https?:)?//"
    )
    for path in [*built.rglob("*.html"), *built.rglob("*.css")]:
        assert not asked.search(path.read_text(encoding="utf-8")), path.name
