"""The table of methods names what is served, and nothing else; what is shown of the command line can be typed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from vertex_emulator import methods
from vertex_emulator.__main__ import main
from vertex_emulator.administration import Administration
from vertex_emulator.config import Config
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.stack import LocalVertex

README = Path(__file__).parents[2] / "vertex_emulator" / "README.md"


def test_every_method_that_is_served_is_in_the_table_and_no_other() -> None:
    table = README.read_text().partition("## Methods")[2].partition("Missing, among")[0]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    served = {name for names in methods.all_services().values() for name in names}
    metrics = {name.rpartition("/")[2] for name in Monitoring().methods() if "MetricService" in name}
    assert named == served | metrics


def test_every_command_and_the_series_shown_work_on_an_emulator_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = README.read_text().partition("## Handle one that runs")[2].partition("## Methods")[0]
    series = section.partition("```json\n")[2].partition("```")[0]
    (tmp_path / "series.json").write_text(json.dumps(json.loads(series)))
    lines = [line for line in section.partition("```sh\n")[2].partition("```")[0].splitlines() if line[0] != "#"]
    monkeypatch.chdir(tmp_path)
    with LocalVertex(Config()) as local:
        monkeypatch.setenv("VERTEX_EMULATOR_HOST", local.address)
        for line in lines:
            python, _, module, *arguments = shlex.split(line)
            assert (python, module) == ("python", "vertex_emulator")
            assert main(arguments) == 0, line
    assert len(lines) > 10


def test_every_administrative_call_is_in_its_table_and_no_other() -> None:
    section = README.read_text().partition("## Handle one that runs")[2].partition("## Methods")[0]
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]+)`", section)) - {"METHOD"}
    with LocalVertex(Config()) as local:
        assert named == set(Administration(local.emulator).calls())
