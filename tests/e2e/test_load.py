"""A small load: events, some twice, some nonsense, with failing calls; ``make soak`` sends ten thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.load.__main__ import document, show
from bench.load.effects import Found, compare
from bench.load.events import Settings, plan
from bench.load.run import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SMALL = Settings(events=100, models=3, rate=200.0, seed=3)


def test_every_good_event_has_its_effect_once_and_every_poison_one_is_kept(tmp_path: Path) -> None:
    outcome = run(SMALL, tmp_path / "cloud")
    assert outcome.holds, show(outcome)
    told = document(outcome)
    assert sum(outcome.sent.values()) == 100
    assert sum(outcome.sent[kind] for kind in ("poison", "poison request")) == 10
    assert set(outcome.answers) <= {202, 400}
    assert all(0 < failed < made for made, failed in outcome.calls.values()), outcome.calls
    assert outcome.calls.keys() == {"store", "publisher"}
    assert all(expectation["wanted"] for expectation in told["expectations"])  # type: ignore[attr-defined]


def test_what_is_lacking_twice_or_strange_is_found() -> None:
    """The comparison itself: with nothing done, nothing holds."""
    sent = plan(SMALL, "p", [("load-000", "1")])
    compared = compare(sent, Found([], [], [], {}, [b"strange"]))
    assert {
        one.what: one.holds
        for one in compared
        if "per version" not in one.what and "told" not in one.what and "gate" not in one.what
    } == {
        "one version per training run": False,
        "one ledger entry per alert and incident": False,
        "every poison message among the dead letters, and nothing else": False,
    }
    dead = compared[-1]
    assert (len(dead.lacking), dead.strange) == (10, ["b'strange'"])
