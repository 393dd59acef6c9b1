"""A small flood of malformed requests at the doors as they are served in the cloud; ``make soak`` sends a hundred thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import webhook

pytestmark = [pytest.mark.slow]


def test_nothing_malformed_is_answered_with_anything_but_4xx(tmp_path: Path) -> None:
    outcome = webhook.run(320, seed=7, folder=tmp_path)
    assert outcome.wrong == []
    assert sum(sum(counted.values()) for counted in outcome.answers.values()) == 320
    assert {400, 401, 405, 415} <= set(outcome.answers["receive_alert"])
    assert {400, 401} <= set(outcome.answers["receive_command"])
    assert all(len(seen) == 10 and seen[0] > 20 for seen in outcome.memory.values())
