"""Events, people, programs, clocks and misfortunes in any order, with every invariant looked at after each step.

``INTERLEAVINGS`` says how many steps, ``make soak`` plays 200,000. What breaks is shown as the shortest steps that break it.
"""

from __future__ import annotations

import os

import pytest

from bench.interleavings.running import run

STEPS = int(os.environ.get("INTERLEAVINGS", "1000"))
PARTS = 2
pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_order_of_events_breaks_an_invariant(part: int) -> None:
    ran = run(STEPS // PARTS, 1000 * part, shrink=False)
    assert not ran.broken, ran.broken
    assert ran.steps.total() >= STEPS // PARTS
    assert ran.ends["promoted"], "rollouts come to their good end, too"
