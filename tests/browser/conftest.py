"""The status page in Chromium: the real functions on a clock moved by hand, behind the local proxy, looked at by a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from local.iap import AUDIENCE, IdentityAwareProxy
from local.stepped import Apps
from tests.functional.functions.harness import Cloud

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)
WIDE, PHONE = (1280, 900), (390, 844)
ANN = "ann@example.com"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests of a module; while it is there, nothing else of this process can run an event loop."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def apps() -> Iterator[Apps]:
    loaded = Apps()
    yield loaded
    loaded.forget()


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """The functions log what matters."""


@contextmanager
def visiting(
    browser: Any, url: str, faults: list[str], size: tuple[int, int] = WIDE, theme: str = "light", **options: Any
) -> Iterator[Any]:
    """A browser of its own; errors on its console, requests to elsewhere than ``url`` and requests that failed are added to ``faults``."""

    def note(is_fault: bool, what: str) -> None:
        if is_fault and "about:blank" not in what:
            faults.append(what)

    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=theme, reduced_motion="reduce", **options
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("console", lambda said: note(said.type in ("error", "warning"), f"console: {said.text}"))
    page.on("pageerror", lambda error: note(True, f"script: {error}"))
    page.on("request", lambda asked: note(not asked.url.startswith(f"{url}/"), f"elsewhere: {asked.url}"))
    try:
        yield page
    finally:
        page.goto("about:blank")  # no refresh while the context closes
        context.close()


@dataclass
class Town:
    """A cloud, its page, and who looks at it."""

    cloud: Cloud
    proxy: IdentityAwareProxy
    browser: Any
    faults: list[str] = field(default_factory=list)
    """Errors on a console, requests to elsewhere, requests that failed."""

    @property
    def url(self) -> str:
        return self.proxy.url

    def rollout(self, version: str) -> str:
        """The address of a rollout's page."""
        return f"{self.url}/rollouts/{self.cloud.rollout(version).id}"

    @contextmanager
    def visit(self, size: tuple[int, int] = WIDE, theme: str = "light", **options: Any) -> Iterator[Any]:
        """A browser of its own, which writes down everything that it should not have done."""
        with visiting(self.browser, self.url, self.faults, size, theme, **options) as page:
            yield page


@pytest.fixture
def town(chromium: Any, apps: Apps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """Nothing has happened yet; ann is an operator. Fails when a browser did what it should not."""
    cloud = Cloud(apps, tmp_path)
    app = apps.client("status_page").application
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    with IdentityAwareProxy(ANN, lambda: f"http://127.0.0.1:{server.server_port}") as proxy:
        settings = {
            "IAP_CERTS_URL": proxy.keys_url,
            "PAGE_AUDIENCE": AUDIENCE,
            "COMMAND_OPERATORS": ANN,
            "PAGE_REFRESH": "1",
        }
        for name, value in (cloud.environment() | settings).items():
            monkeypatch.setenv(name, value)
        cloud.open()
        made = Town(cloud, proxy, chromium)
        yield made
        server.shutdown()
        serving.join()
        server.server_close()
        cloud.close()
    assert not made.faults, "\n".join(made.faults)
