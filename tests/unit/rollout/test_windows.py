"""Windows, freezes and summer time: pure, so every hour of a year can be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from shared.policy.rollout import RolloutSpec
from shared.policy.times import Freeze, Window
from shared.rollout.stops import ALL_MODELS, Stopped
from shared.rollout.windows import is_frozen, is_open, next_opening, why_barred


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def berlin(**keys: object) -> Window:
    return Window.model_validate({"zone": "Europe/Berlin", **keys})


def test_office_hours_follow_the_clocks_through_summer_time() -> None:
    office = berlin(**{"from": "09:00", "until": "17:00"})
    assert [is_open(office, at(t)) for t in ("2026-03-27 07:59", "2026-03-27 08:00")] == [False, True]  # winter
    assert [is_open(office, at(t)) for t in ("2026-03-30 06:59", "2026-03-30 07:00")] == [False, True]  # summer
    assert not is_open(office, at("2026-03-29 10:00")), "a Sunday"
    assert [is_open(office, at(t)) for t in ("2026-03-27 15:59", "2026-03-27 16:00")] == [True, False]


def test_an_hour_that_is_skipped_never_opens_and_one_that_comes_twice_opens_twice() -> None:
    night = berlin(**{"days": ["sun"], "from": "02:00", "until": "03:00"})
    minutes = [at("2026-03-29 00:00") + timedelta(minutes=m) for m in range(180)]
    assert not any(is_open(night, m) for m in minutes)
    minutes = [at("2026-10-25 00:00") + timedelta(minutes=m) for m in range(180)]
    assert sum(is_open(night, m) for m in minutes) == 120


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    night = berlin(**{"days": ["fri"], "from": "22:00", "until": "04:00"})
    assert is_open(night, at("2026-11-27 21:30"))
    assert is_open(night, at("2026-11-28 02:59"))
    assert not is_open(night, at("2026-11-28 21:30"))
    assert not is_open(night, at("2026-11-27 02:00"))


@pytest.mark.parametrize("begin", ["2026-03-23", "2026-10-19", "2026-12-28"])
def test_the_next_opening_is_the_first_moment_at_which_it_is_open(begin: str) -> None:
    office = berlin(**{"days": ["mon", "thu"], "from": "09:00", "until": "24:00"})
    for hour in range(0, 168, 7):
        now = at(begin) + timedelta(hours=hour)
        found = next_opening(office, now)
        assert found is not None
        assert is_open(office, found)
        assert not is_open(office, found - timedelta(minutes=1))
        assert found > now


def test_days_off_are_by_the_calendar_of_their_zone() -> None:
    freeze = Freeze.model_validate({"from": "2026-12-24", "until": "2026-12-26", "zone": "America/New_York"})
    moments = ("2026-12-24 04:59", "2026-12-24 05:00", "2026-12-27 04:59", "2026-12-27 05:00")
    assert [is_frozen(freeze, at(t)) for t in moments] == [False, True, True, False]


def test_the_reason_names_who_and_until_when() -> None:
    spec = RolloutSpec.model_validate({"windows": [{"from": "09:00", "until": "17:00"}]})
    now = at("2026-11-23 18:00")
    assert why_barred(spec, [], now, has_begun=True) == "no window is open; the next one opens at 2026-11-24 09:00 UTC"
    assert why_barred(spec, [], at("2026-11-23 12:00"), has_begun=True) == ""
    stop = Stopped(ALL_MODELS, "ann@example.com", "incident", now, now + timedelta(hours=1))
    assert why_barred(RolloutSpec(), [stop], now, has_begun=True) == (
        "all models are frozen by ann@example.com until 2026-11-23 19:00 UTC: incident"
    )
    assert why_barred(RolloutSpec(), [stop], now + timedelta(hours=1), has_begun=True) == ""


@pytest.mark.parametrize(
    "keys",
    [
        {"from": "09:00", "until": "09:00"},
        {"from": "24:00"},
        {"zone": "Europe/Atlantis"},
        {"zone": "../../etc/passwd"},
        {"days": []},
        {"from": "9:00"},
    ],
)
def test_a_window_that_never_opens_or_whose_zone_nobody_knows_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Window.model_validate(keys)
