"""What is suggested is played against an autoscaler, minute by minute: 60 s up, 5 minutes down, target 60 %."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.costs.audit import audit
from shared.costs.findings.finding import Finding
from shared.costs.fleet_file import read_fleet
from shared.costs.prices import shipped

AT = datetime(2026, 11, 27, tzinfo=UTC)
HOURS = 8 * 24


def drawn(seed: int) -> list[float]:
    """Loads of each minute, in replicas' worth: a day and a night, noise, and now and then a burst that lasts."""
    luck = random.Random(seed)
    base, swing, noise, bursts = (
        luck.uniform(0.1, 1),
        luck.uniform(0, 3),
        luck.uniform(0, 0.3),
        luck.choice([0, 0, 1, 3]),
    )
    loads = [
        base + swing * (1 - math.cos(minute * math.tau / 1440)) / 2 + luck.uniform(0, noise)
        for minute in range(HOURS * 60)
    ]
    for _ in range(bursts):
        begin, height = luck.randrange(len(loads)), luck.uniform(1, 4)
        for minute in range(begin, min(begin + luck.choice([1, 7, 130]), len(loads))):
            loads[minute] += height
    return loads


def autoscaled(loads: list[float], minimum: int, maximum: int) -> list[int]:
    """How many replicas run in each minute: those of the minute before, and none is given up before five minutes."""
    wanted = [min(max(minimum, math.ceil(load / 0.6 - 1e-9)), maximum) for load in loads]
    return [max([minimum, *wanted[max(0, minute - 5) : minute]]) for minute in range(len(loads))]


def found(loads: list[float], minimum: int, maximum: int) -> list[Finding]:
    running = autoscaled(loads, minimum, maximum)
    use = [load / replicas for load, replicas in zip(loads, running, strict=True)]
    hours = [slice(hour * 60, hour * 60 + 60) for hour in range(HOURS)]
    measured = {
        "replicas": [sum(running[h]) / 60 for h in hours],
        "replicas_peak": [max(running[h]) for h in hours],
        "predictions": 100,
        "cpu": [sum(use[h]) / 60 for h in hours],
        "cpu_peak": [max(use[h]) for h in hours],
        "cpu_low": [min(use[h]) for h in hours],
        "memory_gb": 7,
    }
    deployed = {
        "id": "1",
        "model": "m",
        "machine": {"type": "n1-standard-2"},
        "replicas": {"min": minimum, "max": maximum},
        "created": "2026-01-01T00:00:00Z",
        "measured": measured,
    }
    described = {
        "schema": "fleet/v1",
        "start": (AT - timedelta(hours=HOURS)).isoformat(),
        "at": AT.isoformat(),
        "endpoints": [
            {
                "project": "p",
                "region": "us-central1",
                "id": "e",
                "created": "2026-01-01T00:00:00Z",
                "traffic": {"1": 100},
            }
            | {"labels": {"owner": "o"}, "deployed": [deployed]}
        ],
    }
    return list(audit(read_fleet(json.dumps(described), "x"), shipped()).findings)


@pytest.mark.parametrize("seed", range(25))
def test_no_minute_of_the_same_traffic_would_have_been_too_much_for_the_suggested_minimum(seed: int) -> None:
    loads = drawn(seed)
    highest = 12
    minimum = random.Random(seed + 1000).randrange(2, 9)
    if any(load > replicas for load, replicas in zip(loads, autoscaled(loads, minimum, highest), strict=True)):
        minimum = 9  # what is there now carries it
    for finding in found(loads, minimum, highest):
        if finding.kind != "minimum_above_need":
            continue
        suggested = dict(finding.change)["min"]
        running = autoscaled(loads, suggested, highest)
        assert suggested < minimum
        assert all(load <= replicas for load, replicas in zip(loads, running, strict=True))
        hours_now, hours_then = sum(autoscaled(loads, minimum, highest)) / 60, sum(running) / 60
        promised = float(finding.saving or 0) / 0.10925 / 720 * HOURS
        assert promised <= hours_now - hours_then + 0.1, "no more is promised than would have been saved"


def test_the_bursts_are_bursts_and_something_is_suggested_all_the_same() -> None:
    """The property above says something: some fleets are refused a lower minimum, and some get one."""
    kinds = [[f.kind for f in found(drawn(seed), 9, 12)].count("minimum_above_need") for seed in range(10)]
    assert 0 < sum(kinds) <= 10
    steep = [0.2] * (HOURS * 60)
    steep[3000:3060] = [8.0] * 60
    assert [f.kind for f in found(steep, 9, 20)].count("minimum_above_need") == 0
