"""The whole lifecycle: four training runs, of which two are good, one fails at 10 % and one degrades after its promotion."""

from __future__ import annotations

from local.outcomes import judge_outcomes
from local.played import Played
from local.scenarios import Setting
from local.story import Story


def make(setting: Setting) -> Played:
    story = Story(setting.folder, setting.seed, setting.rate, setting.rps, setting.watcher)
    return Played(story, judge_outcomes)
