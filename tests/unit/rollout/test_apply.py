"""Every step that can be planned can be carried out."""

from __future__ import annotations

from typing import get_args

from shared.actions.apply import APPLY
from shared.rollout.steps import Step


def test_every_kind_of_step_has_somebody_who_carries_it_out() -> None:
    assert set(APPLY) == set(get_args(Step))
