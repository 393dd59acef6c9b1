"""Whether anything may go forward at this moment: freezes of people, days of the policy, windows of the week.

Only forward steps ask (a deployment, a higher share). No rollback does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from shared.policy.times import DAYS, Freeze, Window, clock_time, zone_of
from shared.rollout.stops import ALL_MODELS, Stopped

if TYPE_CHECKING:
    from shared.policy.rollout import RolloutSpec

LOOKED_AHEAD = 8
"""Days in which every weekday comes once again."""


def why_barred(spec: RolloutSpec, stops: Sequence[Stopped], now: datetime, *, has_begun: bool) -> str:
    """Why nothing may go forward, in one sentence; empty when it may. ``has_begun``: it has, or had, a machine."""
    for stop in stops:
        if (stop.until is None or now < stop.until) and not (stop.only_new and has_begun):
            what = "all models are" if stop.model == ALL_MODELS else f"{stop.model} is"
            until = f" until {stop.until:%Y-%m-%d %H:%M} UTC" if stop.until else ""
            if stop.only_new:
                return f"no new rollout begins{until}: {stop.reason}; `rollouts unfreeze --budget` lets it"
            return f"{what} frozen by {stop.by}{until}: {stop.reason}"
    for freeze in spec.freezes:
        if is_frozen(freeze, now):
            why = f": {freeze.why}" if freeze.why else ""
            return f"the policy freezes {freeze.begin} to {freeze.until} ({freeze.zone}){why}"
    if not spec.windows or any(is_open(window, now) for window in spec.windows):
        return ""
    opens = [at for window in spec.windows if (at := next_opening(window, now))]
    when = f"; the next one opens at {min(opens):%Y-%m-%d %H:%M} UTC" if opens else ""
    return f"no window is open{when}"


def is_frozen(freeze: Freeze, now: datetime) -> bool:
    """By the calendar of the freeze's zone, the last day included."""
    today = now.astimezone(zone_of(freeze.zone)).date()
    return date.fromisoformat(freeze.begin) <= today <= date.fromisoformat(freeze.until)


def is_open(window: Window, now: datetime) -> bool:
    """By the clocks on the wall: an hour that summer time skips is never, one that it repeats is twice."""
    local = now.astimezone(zone_of(window.zone))
    begin, end = time.fromisoformat(window.begin), clock_time(window.until)
    today, yesterday = DAYS[local.weekday()] in window.days, DAYS[(local.weekday() - 1) % 7] in window.days
    shown = local.time()
    if end is None or begin < end:
        return today and begin <= shown and (end is None or shown < end)
    return (today and shown >= begin) or (yesterday and shown < end)


def next_opening(window: Window, now: datetime) -> datetime | None:
    """When it opens next, in UTC; None where it does not within eight days."""
    begin, zone = time.fromisoformat(window.begin), zone_of(window.zone)
    first = now.astimezone(zone).date()
    for ahead in range(LOOKED_AHEAD):
        day = first + timedelta(days=ahead)
        at = datetime.combine(day, begin, zone).astimezone(UTC)
        if at > now and DAYS[day.weekday()] in window.days and is_open(window, at):
            return at
    return None
