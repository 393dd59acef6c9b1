"""Reported quality by minute, and predictions that wait for their truths.

A minute of a project is a handful of documents: reports are added to one of them, whichever is free, so reporters seldom meet and a tick
reads as few whatever they report. Each addition is one commit with a mark of its report, so a report that is delivered twice, or by two
functions at once, is counted once. A report belongs to the minute in which it arrives, so no tick has read past it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.events.quality import Label
from shared.rollout.histogram import merge_histograms
from shared.rollout.observed import ArmMinute, Histogram, Minute
from shared.store.documents import Create, Documents, Replace, Stored, Write

SHARDS = 8
"""Documents of one project's minute; Firestore takes about one write a second of each."""
KEPT = timedelta(hours=6)
"""Longer than a tick ever reads back."""
FORGOTTEN = timedelta(days=1)
"""After which a report that comes again would be counted again, and a truth of no known prediction is dropped."""
_MINUTE = timedelta(minutes=1)

Key = tuple[str, str, str, str]
"""Region, endpoint, deployed model, metric."""


@dataclass(frozen=True)
class Awaited:
    """What is known of one prediction: what was predicted, what was true, or as yet one of the two."""

    id: str
    revision: str = ""
    """Empty where nothing is stored yet."""
    deployed_model: str = ""
    predicted: Label | None = None
    truth: Label | None = None
    due: datetime | None = None
    """The end of the minute in which it is judged; None while only its truth is known."""

    @property
    def is_joined(self) -> bool:
        return self.predicted is not None and self.truth is not None


@dataclass
class Addition:
    """What one report adds."""

    project: str
    report: str
    values: dict[datetime, dict[Key, list[Histogram]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By the end of the minute."""
    awaited: list[Awaited] = field(default_factory=list)
    places: dict[str, datetime] = field(default_factory=dict)
    """Of a sticky experiment's keys that have their outcome with this report: until when that is remembered."""


class Quality:
    """Over the document store."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def has(self, project: str, report: str) -> bool:
        """Whether a report is counted already."""
        return self._documents.get("quality_reports", f"{project}~{report}") is not None

    def awaited(self, ids: Sequence[str]) -> dict[str, Awaited]:
        """What is known of some predictions; those of which nothing is known are there with nothing."""
        found = {s.id: _read_awaited(s) for s in self._documents.get_all("predictions", list(ids))}
        return {id_: found.get(id_) or Awaited(id_) for id_ in ids}

    def taken(self, places: Sequence[str]) -> set[str]:
        """Those whose outcome is counted already."""
        return {stored.id for stored in self._documents.get_all("outcomes", list(places))}

    def add(self, addition: Addition, now: datetime, attempt: int = 0) -> None:
        """Everything of one report, or nothing; ConflictError where another was first, or the report is counted already.

        ``attempt`` chooses the document of a minute: who met another tries the next one.
        """
        mark = f"{addition.project}~{addition.report}"
        writes: list[Write] = [Create("quality_reports", mark, {"at": now.isoformat()}, expires=now + FORGOTTEN)]
        writes += [_write_awaited(one, now) for one in addition.awaited]
        writes += [Create("outcomes", place, {}, expires=until) for place, until in addition.places.items()]
        shard = (sum(mark.encode()) + attempt) % SHARDS
        ids = {end: f"{addition.project}~{_text(end)}~{shard}" for end in addition.values}
        before = {s.id: s for s in self._documents.get_all("quality", list(ids.values()))}
        for end, values in addition.values.items():
            stored = before.get(ids[end])
            arms = _added(_arms(stored) if stored else {}, values)
            body = {"project": addition.project, "minute": _text(end), "arms": json.dumps(arms, separators=(",", ":"))}
            writes.append(
                Replace("quality", stored.id, body, stored.revision)
                if stored
                else Create("quality", ids[end], body, expires=max(now, end) + KEPT)
            )
        self._documents.commit(writes)

    def of_minute(self, end: datetime) -> dict[str, dict[tuple[str, str], Minute]]:
        """What was reported in the minute that ends at ``end``: by project, by region and endpoint; one query."""
        found: dict[str, dict[str, Any]] = {}
        for stored in self._documents.query("quality", {"minute": _text(end)}):
            before = found.setdefault(stored.body["project"], {})
            found[stored.body["project"]] = _added(before, {_key(k): [_read(v)] for k, v in _arms(stored).items()})
        return {project: _minutes(end, arms) for project, arms in found.items()}


def end_of_minute(at: datetime) -> datetime:
    """The end of the minute in which ``at`` lies."""
    return at.replace(second=0, microsecond=0) + _MINUTE


def joined(one: Awaited, **known: Any) -> Awaited:
    """The same with more known."""
    return replace(one, **known)


def _text(at: datetime) -> str:
    return at.isoformat()


def _arms(stored: Stored) -> dict[str, Any]:
    # As text: a document database keeps an index entry for every number otherwise.
    found: dict[str, Any] = json.loads(stored.body["arms"])
    return found


def _added(before: Mapping[str, Any], values: Mapping[Key, Iterable[Histogram]]) -> dict[str, Any]:
    after = dict(before)
    for key, more in values.items():
        name = "~~".join(key)
        parts = [_read(after[name])] if name in after else []
        after[name] = _written(merge_histograms([*parts, *more]))
    return after


def _key(name: str) -> Key:
    region, endpoint, deployed, metric = name.split("~~")
    return region, endpoint, deployed, metric


def _written(h: Histogram) -> list[Any]:
    return [list(h.edges), list(h.counts), h.mean, h.deviation]


def _read(value: Sequence[Any]) -> Histogram:
    edges, counts, mean, deviation = value
    return Histogram(tuple(edges), tuple(counts), mean, deviation)


def _minutes(end: datetime, arms: Mapping[str, Any]) -> dict[tuple[str, str], Minute]:
    values: dict[tuple[str, str], dict[str, dict[str, Histogram]]] = defaultdict(lambda: defaultdict(dict))
    for name, value in arms.items():
        region, endpoint, deployed, metric = _key(name)
        values[region, endpoint][deployed][metric] = _read(value)
    return {
        place: Minute(end, {deployed: ArmMinute(values=metrics) for deployed, metrics in by_arm.items()})
        for place, by_arm in values.items()
    }


def _write_awaited(one: Awaited, now: datetime) -> Write:
    body = {
        "deployed_model": one.deployed_model,
        "predicted": one.predicted,
        "truth": one.truth,
        "due": _text(one.due) if one.due else None,
    }
    if one.revision:
        return Replace("predictions", one.id, body, one.revision)
    return Create("predictions", one.id, body, expires=max(now, one.due or now) + FORGOTTEN)


def _read_awaited(stored: Stored) -> Awaited:
    body = stored.body
    due = datetime.fromisoformat(body["due"]) if body["due"] else None
    return Awaited(stored.id, stored.revision, body["deployed_model"], body["predicted"], body["truth"], due)
