"""A small soak: whole rollouts by evidence through the real functions, which end as they should."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bench import soak
from bench.rates import Rate
from bench.soak_report import ROLLED_BACK, as_json, document, rates, show
from bench.soak_trials import EQUAL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


def test_equal_candidates_get_all_the_traffic_and_bad_ones_give_it_back(tmp_path: Path) -> None:
    outcome = soak.run(soak.Settings(good=6, bad=3, at_once=5, seed=1), tmp_path)
    ends = Counter((trial.kind == EQUAL, trial.end) for trial in outcome.trials)
    assert ends == {(True, "promoted"): 6, (False, ROLLED_BACK): 3}
    assert {trial.kind for trial in outcome.trials} == {EQUAL, *soak.BAD}
    assert all(trial.promoted_at is None for trial in outcome.trials if trial.kind != EQUAL)
    # 15 minutes of bake at each of two stages, judged after the lag.
    assert all((trial.minutes or 0) >= 30 for trial in outcome.trials if trial.kind == EQUAL)
    assert outcome.dead_letters == 0
    # One list of endpoints and a query for each of three metrics, however many rollouts are judged.
    assert max(tick.judged for tick in outcome.ticks) == 5
    assert max(tick.calls for tick in outcome.ticks) == 4
    assert [rate.count for rate in rates(outcome)] == [0, 0]
    assert "| equal | 6 | 6 | 0 | 0 |" in document(outcome)
    assert "good candidates taken back: 0 of 6 = 0.0%" in show(outcome)
    assert len(json.loads(json.dumps(as_json(outcome)))["trials"]) == 9


@pytest.mark.parametrize(
    ("count", "of", "low", "high"), [(0, 500, 0.0, 0.00735), (3, 100, 0.00623, 0.08518), (100, 100, 0.96378, 1.0)]
)
def test_the_interval_of_a_rate_is_the_exact_one(count: int, of: int, low: float, high: float) -> None:
    assert Rate("", count, of, 0.01).interval == pytest.approx((low, high), abs=1e-5)
