"""The runbook says what to do about every alert and every message, from now on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import messages
from docs.messages import ROOT, RUNBOOK

ALERTS = sorted(
    {
        name
        for path in (ROOT / "infra").rglob("*.tf")
        for name in re.findall(r"See ([\w-]+) (?:in docs/runbook\.md|there)", path.read_text(encoding="utf-8"))
    }
)


def test_every_message_has_its_entry_and_no_entry_is_of_the_past() -> None:
    lacking, stale = messages.compare()
    rows = "\n".join(f"| `{said.text}` | what to do |  ({said.place})" for said in lacking)
    assert not lacking, f'add to "## Messages" of docs/runbook.md, under the function that says it:\n{rows}'
    assert not stale, f"docs/runbook.md explains what nobody says any more: {sorted(stale)}"


def test_every_alert_of_terraform_has_its_section() -> None:
    sections = set(re.findall(r"^### (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"heartbeat", "dead-letters", "model-errors"} <= set(ALERTS)
    assert not set(ALERTS) - sections, "docs/runbook.md lacks sections of these names"


def test_every_alert_policy_names_its_section() -> None:
    for path in (ROOT / "infra").rglob("*.tf"):
        text = path.read_text(encoding="utf-8")
        policies = text.count('resource "google_monitoring_alert_policy"')
        assert policies == len(re.findall(r"docs/runbook\.md", text)), path


def test_a_new_message_is_asked_for_with_the_row_to_paste(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "new.py").write_text(
        'raise PermanentError(f"the moon is in {house}; wait for `another`")\nlog.warning("odd " f"weather: {exc}")\n'
        'raise ValueError("ours")\nlog.info("fine, all of it")\n'
    )
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    assert messages.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert "| `the moon is in …; wait for 'another'` | TODO: what to do | <!-- shared/new.py -->" in said
    assert "| `odd weather: …` | TODO: what to do | <!-- shared/new.py -->" in said
    assert not [line for line in said if "ours" in line or "fine" in line]
