"""A story as a scenario: what was expected of it is judged on its facts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TextIO

from local.outcomes import Outcome
from local.story import Facts, Story
from local.summary import show_summary


class Played:
    """One story, and how it is judged."""

    def __init__(self, story: Story, judge: Callable[[Facts], list[Outcome]]) -> None:
        self._story, self._judge = story, judge

    @property
    def model(self) -> str:
        return self._story.model

    def run(self) -> None:
        self._story.run()

    def outcomes(self) -> list[Outcome]:
        return self._judge(self._story.facts())

    def show(self, out: TextIO, took: timedelta) -> None:
        show_summary(out, self._story.facts(), self.outcomes(), took)
