"""``rollouts prices``."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Rollouts


def test_the_table_has_machine_size_gpu_hour_and_month(rollouts: Rollouts) -> None:
    ran = rollouts("prices", "--region", "us-central1")
    assert (ran.code, ran.err) == (0, "")
    rows = {line.split()[1]: line.split() for line in ran.out.splitlines() if line.startswith("us-central1")}
    assert rows["n1-standard-4"][2:] == ["4", "15", "0.21850", "157.32", "confirmed,", "2026-11-26"]
    assert rows["g2-standard-4"][4:8] == ["1", "x", "NVIDIA_L4", "0.81293"]
    assert "1 x NVIDIA_TESLA_T4" in ran.out


def test_the_twin_names_the_source_of_every_figure(rollouts: Rollouts) -> None:
    ran = rollouts("prices", "--json")
    found = json.loads(ran.out)["prices"]
    assert all(row["source"] and row["state"] in ("confirmed", "derived") for row in found)


def test_a_region_without_prices_and_a_file_that_is_missing_say_what_to_do(rollouts: Rollouts) -> None:
    ran = rollouts("prices", "--region", "mars-north1")
    assert (ran.code, "--prices FILE" in ran.out) == (0, True)
    ran = rollouts("prices", "--prices", "none.json")
    assert (ran.code, ran.err) == (1, "error: cannot read none.json: No such file or directory\n")
