"""What people are told: the ledger's own sentence, with the numbers behind it, before any chat's markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.notify.links import Link, links_of
from shared.rollout.record import CheckResult, LedgerEntry, Rollout

_TITLES: Mapping[str, str] = {
    "advance": "Advanced",
    "approve": "Approved",
    "ask": "Approval needed",
    "fail": "Failed",
    "finish": "Finished",
    "freeze": "Frozen",
    "hold": "Holding",
    "note": "Note",
    "operate": "At work",
    "pause": "Paused",
    "promote": "Promoted",
    "reassert": "Traffic put back",
    "refuse": "Refused",
    "reject": "Rejected",
    "resume": "Resumed",
    "roll_back": "Rolled back",
    "start": "Started",
    "supersede": "Superseded",
}
"""Decisions as a headline; others stand as they are written."""


@dataclass(frozen=True)
class Moved:
    """One version's share of the traffic, in percent."""

    name: str
    """``v4``; the deployed model's id where the version is not known."""
    before: int
    after: int


@dataclass(frozen=True)
class Took:
    """One span of time, and from what to what it is."""

    what: str
    seconds: int


@dataclass(frozen=True)
class Announcement:
    """One entry of the ledger, ready to be told."""

    entry: LedgerEntry
    rollout: Rollout | None
    title: str
    """``Rolled back: churn v4``; our own words and ids, nothing that somebody else wrote."""
    moved: tuple[Moved, ...]
    took: tuple[Took, ...]
    links: tuple[Link, ...]

    @property
    def thread(self) -> str:
        """One per rollout; an entry that belongs to none stands alone."""
        return self.entry.rollout

    @property
    def headline(self) -> str:
        """One line for a notification: which model, and the sentence."""
        model = self.entry.model
        return self.entry.sentence if not model or model in self.entry.sentence else f"{model}: {self.entry.sentence}"

    @property
    def is_for_all(self) -> bool:
        """Whether it is to be seen outside of its thread, too: what needs somebody, and how it ended."""
        return self.entry.severity != "info" or self.entry.decision in ("promote", "finish")


def compose(entry: LedgerEntry, rollout: Rollout | None, history: Sequence[LedgerEntry], page: str) -> Announcement:
    """``history`` is the rollout's ledger, oldest first; ``page`` the address of the status page, empty where there is none."""
    subject = f"{entry.model} v{entry.version}" if entry.version else entry.model or entry.rollout
    if not entry.version and rollout is not None:
        subject = f"{rollout.model} v{rollout.version}"
    title = _TITLES.get(entry.decision, entry.decision.replace("_", " ").capitalize())
    return Announcement(
        entry=entry,
        rollout=rollout,
        title=f"{title}: {subject}" if subject else title,
        moved=_moved(entry, rollout),
        took=_took(entry, rollout, history),
        links=links_of(entry, rollout, page),
    )


def _moved(entry: LedgerEntry, rollout: Rollout | None) -> tuple[Moved, ...]:
    """Shares before and after, of whoever has one; nothing where no traffic was moved."""
    if entry.traffic_after is None:
        return ()
    before, after = entry.traffic_before or {}, entry.traffic_after
    if before == after:
        return ()
    names = {rollout.stable_id: rollout.stable_version, rollout.deployed_id: rollout.version} if rollout else {}
    ids = [one for one in {**before, **after} if before.get(one, 0) or after.get(one, 0)]
    return tuple(
        Moved(f"v{names[one]}" if names.get(one) else one, before.get(one, 0), after.get(one, 0)) for one in ids
    )


def _took(entry: LedgerEntry, rollout: Rollout | None, history: Sequence[LedgerEntry]) -> tuple[Took, ...]:
    """For a rollback: how long users can have had bad answers at most, and how long it took from each moment that is known."""
    if entry.decision != "roll_back" or entry.traffic_after is None:
        return ()
    restored = entry.restored_at or entry.at
    shared = next((e.at for e in history if _gave_a_share(e, rollout)), None)
    moments = [
        ("from its first share, so no user had a bad answer for longer", shared),
        (
            "from the beginning of the incident",
            entry.began_at if _is_older(entry.began_at, entry.detected_at) else None,
        ),
        ("from the alert", entry.detected_at),
    ]
    spans = [(what, restored - at) for what, at in moments if at is not None]
    return tuple(Took(what, round(span.total_seconds())) for what, span in spans if span >= timedelta(0))


def _gave_a_share(entry: LedgerEntry, rollout: Rollout | None) -> bool:
    share = (entry.traffic_after or {}).get(rollout.deployed_id, 0) if rollout else 0
    return share > 0 and entry.decision != "roll_back"


def _is_older(began: datetime | None, detected: datetime | None) -> bool:
    """Our own analysis dates its alert by the moment at which it asks; only somebody else's knows an earlier beginning."""
    return began is not None and (detected is None or detected - began >= timedelta(seconds=1))


def write_span(seconds: int) -> str:
    """``41 s``, ``3 min 5 s``, ``2 h 10 min``."""
    minutes, rest = divmod(seconds, 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {left} min" if left else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"


def write_number(value: float) -> str:
    """As our sentences write numbers."""
    return f"{value:.4g}"


def write_check(check: CheckResult) -> str:
    """``observed 0.167, limit 0.05, 120 samples``: what the sentence of a check may leave out."""
    parts = []
    if check.observed is not None:
        parts.append(f"observed {write_number(check.observed)}")
    if check.limit is not None:
        parts.append(f"limit {write_number(check.limit)}")
    if check.stable is not None:
        parts.append(f"stable {write_number(check.stable)}")
    if check.samples:
        parts.append(f"{check.samples:,} samples")
    return ", ".join(parts)
