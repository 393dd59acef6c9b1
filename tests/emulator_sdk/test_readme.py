"""The table of methods names what is served, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from vertex_emulator import methods
from vertex_emulator.monitoring.server import Monitoring

README = Path(__file__).parents[2] / "vertex_emulator" / "README.md"


def test_every_method_that_is_served_is_in_the_table_and_no_other() -> None:
    table = README.read_text().partition("## Methods")[2].partition("Missing, among")[0]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    served = {name for names in methods.all_services().values() for name in names}
    metrics = {name.rpartition("/")[2] for name in Monitoring().methods() if "MetricService" in name}
    assert named == served | metrics
