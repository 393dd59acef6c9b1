"""``make audit``: the real pip-audit against a service of advisories on this machine, and where there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra import audit

needs_pip_audit = pytest.mark.skipif(
    not audit.PIP_AUDIT.exists(), reason="needs pip-audit (`make tools` installs it into .venv-audit)"
)
Out = pytest.CaptureFixture[str]


class Advisories:
    """A service of OSV's form, which knows one vulnerable package."""

    def __init__(self, vulnerable: str, fixed: str) -> None:
        self.asked: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name = question["package"]["name"]
                service.asked.append(name)
                found = [_advisory(name, fixed)] if name in (vulnerable, "jinja2") else []
                body = json.dumps({"vulns": found} if found else {}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/query"


def _advisory(name: str, fixed: str) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"id": "PYSEC-2026-1", "summary": "It can be told to do more.", "affected": affected}


@pytest.fixture
def advisories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Advisories]:
    monkeypatch.setattr(audit, "memory", lambda: tmp_path / "memory")
    made = Advisories("leaky", "2.0")
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def pinned(folder: Path, text: str) -> str:
    path = folder / "requirements.txt"
    path.write_text(text)
    return str(path)


@needs_pip_audit
def test_a_vulnerable_pin_fails_with_its_advisory_and_what_mends_it(
    advisories: Advisories, tmp_path: Path, capsys: Out
) -> None:
    file = pinned(tmp_path, "sound==1.0\nleaky==1.4\n")
    assert audit.main(["--osv", advisories.url, file]) == 1
    said = capsys.readouterr().out
    assert "audit: failed" in said
    assert "  leaky 1.4: PYSEC-2026-1, mended in 2.0\n" in said
    assert "sound" not in said


@needs_pip_audit
def test_what_is_sound_is_asked_about_once_a_day(advisories: Advisories, tmp_path: Path, capsys: Out) -> None:
    file = pinned(tmp_path, "sound==1.0\n")
    assert audit.main(["--osv", advisories.url, file]) == 0
    assert advisories.asked[1:] == ["sound"]
    assert audit.main(["--osv", advisories.url, file]) == 0
    assert advisories.asked[1:] == ["sound"]
    assert "less than a day ago" in capsys.readouterr().out
    assert audit.main(["--osv", advisories.url, pinned(tmp_path, "sound==1.1\n")]) == 0
    assert len(advisories.asked) == 4, "another pin is another question"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1/query", "http://nowhere.invalid/v1/query"])
def test_advisories_that_cannot_be_reached_are_said_and_fail_nothing(
    advisories: Advisories, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(audit, "PIP_AUDIT", Path("/bin/true"))
    assert audit.main(["--ci", "--osv", url, pinned(tmp_path, "leaky==1.4\n")]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"audit: nothing was audited: the advisories at {url} cannot be reached (")
    assert "no known vulnerabilities" not in said.out


def test_a_service_that_knows_nothing_is_none(advisories: Advisories) -> None:
    """A mirror of packages answers too; it must not pass for good news."""
    silent = Advisories("nothing", "1")
    silent.server.server_close()
    assert audit.unreachable(silent.url)
    assert audit.unreachable(advisories.url) == ""


def test_a_tool_that_is_missing_fails_in_ci_only(
    advisories: Advisories, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PIP_AUDIT", tmp_path / "missing")
    monkeypatch.delenv("CI", raising=False)
    file = pinned(tmp_path, "sound==1.0\n")
    assert audit.main(["--osv", advisories.url, file]) == 0
    assert audit.main(["--ci", "--osv", advisories.url, file]) == 1
    assert "make tools" in capsys.readouterr().err
