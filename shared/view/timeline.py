"""The life of a rollout as a drawing: what moved, when and why, in coordinates that a template only has to write down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from shared.policy.units import format_duration
from shared.rollout.record import LedgerEntry, Phase, Rollout, Verdict
from shared.view.series import Measured, Point

WIDTH, LEFT, RIGHT = 960, 56, 16
TRAFFIC_TOP, TRAFFIC_HEIGHT = 22, 84
LANE_HEIGHT, LANE_GAP = 64, 34
MARKS_HEIGHT = 34
LEAST = timedelta(minutes=10)
"""The shortest time that is drawn: one that has just begun is not blown up to the width of the page."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 43200)
"""Minutes between two ticks of the axis."""
LABELS_APART = 64.0
"""Between two labels of the axis."""


@dataclass(frozen=True)
class Label:
    """A word at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A decision: its time, its sentence, how grave it is."""

    x: float
    kind: str
    """``info``, ``warning``, ``error`` or ``good``."""
    text: str


@dataclass(frozen=True)
class Lane:
    """One metric of both arms over the time."""

    title: str
    top: float
    bottom: float
    candidate: tuple[str, ...]
    """Points of its lines; a gap in the data is a gap in the line."""
    stable: tuple[str, ...]
    limit_y: float | None
    limit: str
    highest: str
    lowest: str
    turned: tuple[tuple[float, float], ...] = ()
    """Where a verdict failed: a ring around the value."""


@dataclass(frozen=True)
class Timeline:
    """Everything that is drawn."""

    width: int
    height: float
    left: float
    right: float
    share_line: str
    share_area: str
    share_labels: tuple[Label, ...]
    traffic_top: float
    traffic_bottom: float
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    marks_y: float
    ticks: tuple[Label, ...]
    days: tuple[Label, ...]
    end_x: float | None
    end_kind: str
    """``good`` or ``bad``."""
    end_text: str
    spoken: str
    """The same in a sentence, for who does not see it."""
    trends: Mapping[str, str] = field(default_factory=dict)
    """By metric: the points of a small line for a table, 100 wide and 24 high."""


def timeline(rollout: Rollout, entries: Sequence[LedgerEntry], measured: Sequence[Measured], now: datetime) -> Timeline:
    """From registered to now, or to some time after its end."""
    begin, end = span(rollout, now)
    place = _Place(begin, end)
    shares = list(_shares(rollout, entries, begin, min(end, rollout.updated_at if not rollout.phase.is_open else end)))
    bottom = TRAFFIC_TOP + TRAFFIC_HEIGHT
    line = [(place.x(at), bottom - share * TRAFFIC_HEIGHT / 100) for at, share in shares]
    lanes, top = [], bottom + LANE_GAP
    for one in measured:
        if not one.is_empty:
            lanes.append(_lane(one, entries, place, top))
            top += LANE_HEIGHT + LANE_GAP
    marks_y = top - LANE_GAP + MARKS_HEIGHT / 2 + 4
    ended = not rollout.phase.is_open
    return Timeline(
        width=WIDTH,
        height=marks_y + 56,
        left=LEFT,
        right=WIDTH - RIGHT,
        share_line=_points(line),
        share_area=_points([(line[0][0], bottom), *line, (line[-1][0], bottom)]) if line else "",
        share_labels=tuple(_share_labels(line, shares)),
        traffic_top=TRAFFIC_TOP,
        traffic_bottom=bottom,
        lanes=tuple(lanes),
        marks=tuple(
            Mark(place.x(e.at), _kind(e), f"{e.at:%H:%M:%S} UTC {e.sentence}") for e in entries if begin <= e.at <= end
        ),
        marks_y=marks_y,
        ticks=tuple(_ticks(place, marks_y + 34)),
        days=tuple(_days(place, marks_y + 50)),
        end_x=place.x(rollout.updated_at) if ended else None,
        end_kind="good" if rollout.phase is Phase.PROMOTED else "bad",
        end_text=_end_text(rollout, entries) if ended else "",
        spoken=_spoken(rollout, shares),
        trends={one.metric: _trend(one) for one in measured if len(one.candidate) > 1},
    )


def span(rollout: Rollout, now: datetime) -> tuple[datetime, datetime]:
    """What is drawn: whole minutes."""
    begin = rollout.created_at.replace(second=0, microsecond=0)
    end = (
        now
        if rollout.phase.is_open
        else rollout.updated_at + max((rollout.updated_at - begin) * 0.06, timedelta(minutes=1))
    )
    end = max(end, begin + LEAST)
    return begin, end.replace(second=0, microsecond=0) + timedelta(minutes=1)


class _Place:
    """Times as places."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self.begin, self.end = begin, end
        self._width = WIDTH - LEFT - RIGHT

    def x(self, at: datetime) -> float:
        part = (at - self.begin) / (self.end - self.begin)
        return round(LEFT + min(max(part, 0.0), 1.0) * self._width, 1)


def _shares(
    rollout: Rollout, entries: Sequence[LedgerEntry], begin: datetime, end: datetime
) -> Iterator[tuple[datetime, int]]:
    """The candidate's share as a line of steps."""
    share = 0
    yield begin, 0
    for entry in entries:
        if entry.traffic_after is None or not rollout.deployed_id:
            continue
        after = entry.traffic_after.get(rollout.deployed_id, 0)
        if after != share:
            yield entry.at, share
            yield entry.at, after
            share = after
    yield end, share


def _share_labels(line: Sequence[tuple[float, float]], shares: Sequence[tuple[datetime, int]]) -> Iterator[Label]:
    for (before, after), (x, y) in zip(pairwise(shares), line[1:], strict=True):
        if before[0] == after[0] and before[1] != after[1]:
            yield Label(x, y - 6 if after[1] < 90 else y - 5, f"{after[1]} %")


def _lane(one: Measured, entries: Sequence[LedgerEntry], place: _Place, top: float) -> Lane:
    values = [p.value for p in (*one.candidate, *one.stable)]
    high = max([*values, *([one.limit] if one.limit is not None else [])])
    low = 0.0 if one.percent else min([*values, *([one.limit] if one.limit is not None else [])])
    if not one.percent:
        low = max(0.0, low - (high - low) * 0.15) if low >= 0 else low
    high = high + (high - low) * 0.12 if high > low else low + 1
    bottom = top + LANE_HEIGHT

    def y(value: float) -> float:
        return round(bottom - (value - low) / (high - low) * LANE_HEIGHT, 1)

    failed = [
        (place.x(e.at), y(min(max(c.observed, low), high)))
        for e in entries
        for c in e.checks
        if c.metric == one.metric and c.verdict is Verdict.FAIL and c.observed is not None
    ]
    return Lane(
        title=one.name,
        top=top,
        bottom=bottom,
        candidate=tuple(_lines(one.candidate, place, y)),
        stable=tuple(_lines(one.stable, place, y)),
        limit_y=None if one.limit is None else y(one.limit),
        limit="" if one.limit is None else f"limit {_number(one.limit, one.percent)}",
        highest=_number(high, one.percent),
        lowest=_number(low, one.percent),
        turned=tuple(failed[:1]),
    )


def _lines(points: Sequence[Point], place: _Place, y: Callable[[float], float]) -> Iterator[str]:
    """A line for each run of points without a gap; one point alone is a short stroke."""
    if not points:
        return
    steps = sorted(b.at - a.at for a, b in pairwise(points))
    usual = (steps[len(steps) // 2] if steps else timedelta(minutes=1)) * 2.5
    run: list[tuple[float, float]] = []
    before: datetime | None = None
    for point in points:
        if before is not None and point.at - before > usual:
            yield _points(_seen(run))
            run = []
        run.append((place.x(point.at), y(point.value)))
        before = point.at
    yield _points(_seen(run))


def _seen(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return run if len(run) > 1 else [(run[0][0] - 2, run[0][1]), (run[0][0] + 2, run[0][1])]


def _trend(one: Measured) -> str:
    values = [p.value for p in one.candidate][-60:]
    ends = [*values, *([one.limit] if one.limit is not None else [])]
    low, high = min(0.0, *ends), max(ends)
    high = high if high > low else low + 1
    width = 96 / (len(values) - 1) if len(values) > 1 else 0
    return _points([(2 + i * width, 22 - (v - low) / (high - low) * 20) for i, v in enumerate(values)])


def _points(line: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in line)


def _number(value: float, percent: bool) -> str:
    return f"{value * 100:.3g} %" if percent else f"{value:.4g}"


def _kind(entry: LedgerEntry) -> str:
    if entry.decision in ("advance", "promote", "finish"):
        return "good"
    return "error" if entry.decision == "roll_back" else entry.severity


def _ticks(place: _Place, y: float) -> Iterator[Label]:
    minutes = (place.end - place.begin).total_seconds() / 60
    room = (WIDTH - LEFT - RIGHT) / LABELS_APART
    step = next((s for s in STEPS if minutes / s <= room), STEPS[-1])
    first = math.ceil(place.begin.timestamp() / 60 / step) * step
    for at in range(first, int(place.end.timestamp() / 60) + 1, step):
        moment = datetime.fromtimestamp(at * 60, UTC)
        yield Label(place.x(moment), y, f"{moment:%H:%M}" if step < 1440 else f"{moment:%m-%d}")


def _days(place: _Place, y: float) -> Iterator[Label]:
    """The day where the drawing begins, and where another begins."""
    yield Label(LEFT, y, f"{place.begin:%Y-%m-%d} UTC")
    day = place.begin.date()
    last = LEFT + 0.0
    for ahead in range(1, (place.end.date() - day).days + 1):
        moment = datetime.combine(day + timedelta(days=ahead), datetime.min.time(), UTC)
        if place.x(moment) - last > 130:
            last = place.x(moment)
            yield Label(last, y, f"{moment:%Y-%m-%d}")


def _end_text(rollout: Rollout, entries: Sequence[LedgerEntry]) -> str:
    words = rollout.phase.value.replace("_", " ")
    back = next((e for e in reversed(entries) if e.decision == "roll_back" and e.began_at), None)
    seconds = int((back.at - back.began_at).total_seconds()) if back and back.began_at else 0
    if rollout.phase is Phase.ROLLED_BACK and seconds > 0:
        return f"{words}, {format_duration(timedelta(seconds=seconds))} after the alert began"
    return words


def _spoken(rollout: Rollout, shares: Sequence[tuple[datetime, int]]) -> str:
    moves = [
        f"{after[1]} % at {after[0]:%H:%M} UTC"
        for before, after in pairwise(shares)
        if before[0] == after[0] and before[1] != after[1]
    ]
    told = (
        f"Share of the traffic of v{rollout.version}: {', '.join(moves)}."
        if moves
        else f"v{rollout.version} has had no traffic."
    )
    end = (
        ""
        if rollout.phase.is_open
        else f" It ended {rollout.phase.value.replace('_', ' ')} at {rollout.updated_at:%H:%M} UTC."
    )
    return f"{told}{end} Every decision is in the table below."
