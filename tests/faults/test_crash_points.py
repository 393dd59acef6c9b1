"""A seeded share of the crash points: one outgoing call of a flow goes wrong, or two deaths follow each other, and the end is the same.

All of them, and all pairs, are played by ``python -m bench.crashes``; the calls are found by playing, so one that is added is covered unnamed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.crashes.cases import Player, second_deaths
from bench.crashes.faults import Call, Fault
from bench.crashes.flows import FLOWS, Flow, flow
from bench.crashes.plant import Plant

SINGLES, PAIRS = 4, 1
"""Of each flow."""
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    folder: Path = tmp_path_factory.mktemp("crashes")
    with Plant.running(folder) as plant:
        yield Player(plant)


@pytest.mark.parametrize("one", FLOWS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_call_that_goes_wrong_only_delays(player: Player, one: Flow) -> None:
    draw = random.Random(one.name)
    points = draw.sample(player.undisturbed(one).points(), SINGLES)
    firsts = [p for p in player.undisturbed(one).points() if p.fault.kills and not p.call.is_read]
    outcomes = [player.play(one, point) for point in points]
    for first in draw.sample(firsts, min(PAIRS, len(firsts))):
        died = player.play(one, first)
        outcomes.append(died)
        if deaths := player.deaths_after(died):
            outcomes.append(player.play(one, first, draw.choice(deaths)))
    wrong = [str(outcome) for outcome in outcomes if outcome.wrong]
    assert not wrong, "\n".join(wrong)
    assert all(len(outcome.points) == outcome.happened for outcome in outcomes), "every planned fault came to pass"


def test_the_calls_are_found_by_playing_and_every_fault_is_met_somewhere(player: Player) -> None:
    found = [
        point
        for name in ("register", "deploy", "advance", "roll back by incident")
        for point in player.undisturbed(flow(name)).points()
    ]
    assert {point.fault for point in found} == set(Fault)
    called = {point.call.what for point in found}
    assert {
        "UploadModel",
        "DeployModel",
        "UpdateEndpoint",
        "ListTimeSeries",
        "commit rollouts",
        "publish alert-fired",
        "webhook",
    } <= called
    first = next(p for p in found if p.call.what == "DeployModel" and p.fault is Fault.KILL_BEFORE)
    assert first.call == Call("advance_rollout", "DeployModel", 1, first.call.written)


def test_a_second_death_that_begins_where_the_first_has_led_is_the_same(player: Player) -> None:
    one = flow("advance")
    first = player.play(one, next(p for p in player.undisturbed(one).points() if p.fault is Fault.KILL_AFTER))
    pairs = [pair for pair in player.pairs(one, [first]) if not isinstance(pair, int)]
    later = [pair for pair in pairs if pair.points[1] in second_deaths(first)[-3:]]
    assert later
    for pair in later:
        anew = player.play(one, *pair.points)
        assert (anew.happened, anew.wrong, anew.state) == (pair.happened, pair.wrong, pair.state)
        assert [made.call for made in anew.made[: anew.sealed]] == [made.call for made in pair.made[: pair.sealed]]


def test_the_command_plays_a_share_of_a_flow_in_a_process_of_its_own() -> None:
    wanted = ["--flow", "register", "--share", "0.02", "--pairs", "0", "--workers", "1", "--json", "--out", ""]
    ran = subprocess.run(
        [sys.executable, "-m", "bench.crashes", *wanted], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
    played = json.loads(ran.stdout)["register"]
    assert played["singles"] > 0
    assert played["wrong"] == []
