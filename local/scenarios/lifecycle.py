"""The whole lifecycle: four training runs, of which two are good, one fails at 10 % and one degrades after its promotion."""

from __future__ import annotations

from datetime import timedelta
from typing import TextIO

from local.outcomes import Outcome, judge_outcomes
from local.scenarios import Setting
from local.story import Story
from local.summary import show_summary


class Lifecycle:
    """The story of ``local.story``, as a scenario."""

    def __init__(self, setting: Setting) -> None:
        self._story = Story(setting.folder, setting.seed, setting.rate, setting.rps, setting.watcher)

    @property
    def model(self) -> str:
        return self._story.model

    def run(self) -> None:
        self._story.run()

    def outcomes(self) -> list[Outcome]:
        return judge_outcomes(self._story.facts())

    def show(self, out: TextIO, took: timedelta) -> None:
        show_summary(out, self._story.facts(), self.outcomes(), took)


def make(setting: Setting) -> Lifecycle:
    return Lifecycle(setting)
