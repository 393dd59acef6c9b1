"""What the doctor can see without asking anybody but a clock: settings and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import requests

from rollouts_cli.doctor.finding import Finding, Health
from shared.errors import TransientError

SETTINGS, CLOCK = "settings", "clock"
GOOGLES_CLOCK = "https://www.googleapis.com/generate_204"
MOST_SKEW = timedelta(seconds=30)
"""ID tokens are refused, and ticks judged wrongly, by a clock that is further off; NTP keeps it within milliseconds."""


def settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The variables that point the command line at the project."""
    project, store = environment.get("GOOGLE_CLOUD_PROJECT", ""), environment.get("STORE", "sqlite")
    if not project:
        yield Finding(SETTINGS, Health.BROKEN, "GOOGLE_CLOUD_PROJECT is not set", "export GOOGLE_CLOUD_PROJECT=PROJECT")
        return
    if store != "firestore" and not is_local(environment):
        yield Finding(
            SETTINGS,
            Health.BROKEN,
            f"STORE is {store}: the records of {project} are not looked at",
            "export STORE=firestore",
        )
        return
    yield Finding(SETTINGS, Health.OK, f"{project}, records in {store}")


def is_local(environment: Mapping[str, str]) -> bool:
    """Whether the local system is looked at, which has neither APIs nor roles."""
    return bool(environment.get("PUBSUB_EMULATOR_HOST"))


def clock(now: datetime, address: str = GOOGLES_CLOCK) -> Iterator[Finding]:
    """How far this machine's clock is from Google's, to the second."""
    try:
        answer = requests.get(address, timeout=10)
    except requests.RequestException as exc:
        raise TransientError(f"{address} cannot be reached ({type(exc).__name__})") from exc
    if "Date" not in answer.headers:
        yield Finding(CLOCK, Health.UNKNOWN, f"{address} does not say what time it is")
        return
    off = abs(now.astimezone(UTC) - parsedate_to_datetime(answer.headers["Date"]))
    if off > MOST_SKEW:
        yield Finding(
            CLOCK,
            Health.BROKEN,
            f"this clock is {off.total_seconds():.0f} s off",
            "let NTP set it: timedatectl set-ntp true",
        )
    else:
        yield Finding(CLOCK, Health.OK, f"within {MOST_SKEW.total_seconds():.0f} s of Google's")
