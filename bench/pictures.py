"""The pictures of docs/performance.md, from the results that are kept; drawn with docs/drawing.py, as those of the evidence are.

A plotting library is not used: none of them draws an SVG that follows the reader's light or dark setting and keeps its text as text, and the bars
and lines here are a few rectangles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docs.drawing import Axis, Bar, Frame, Limit, Line, bars, chart, sheet, text

OURS, SDK, FLOOR, OTHER = "a", "b", "c", "d"
"""Colours: the project; what its documentation teaches; what nothing can be faster than."""
QUOTA = 600
"""Reads of Vertex AI for each minute, project and region."""
_WIDTH = 760
_DECADES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)


FOLDER = Path(__file__).parents[1] / "docs" / "pictures"


@dataclass(frozen=True)
class Picture:
    """What can be drawn of a bench."""

    title: str
    draw: Callable[[Any], str]


def file_of(bench: str) -> str:
    """The name of a bench's picture."""
    return f"performance-{bench.replace('_', '-')}.svg"


def drawn(kept: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Every picture that the kept results have something for, by file name."""
    return {file_of(name): one.draw(kept[name]["results"]) for name, one in PICTURES.items() if name in kept}


def cold_start(found: Sequence[Mapping[str, Any]]) -> str:
    """Seconds and memory of every function, and of the rollback in two other ways."""
    rows = sorted(
        found, key=lambda one: (one["is_baseline"], one["function"] != "roll_back", float(one["median_seconds"]))
    )
    sdk = next((one for one in rows if one["function"] == "sdk_rollback"), rows[-1])
    top, bottom = 126, 126 + 21 * len(rows)
    panels = (
        ("median_seconds", "s", "seconds until the first event is answered", "0.4", Frame(158, top, 440, bottom)),
        ("pss_megabytes", "MB", "MB of memory after it", "0.4, for roll_back", Frame(478, top, 748, bottom)),
    )
    parts = [
        text(12, 26, _COLD_START, "title"),
        text(
            12,
            46,
            "the second number is the share of the high-level SDK's (sdk_rollback); wanted are at most 0.4 of its time and,",
            "small",
        ),
        text(12, 62, "for roll_back, which is in a hurry, at most 0.3 of its time and 0.4 of its memory", "small"),
        *_legend(88, ((OURS, "our functions"), (SDK, "the same rollback, written in other ways"))),
    ]
    for key, unit, name, wanted, frame in panels:
        whole = sdk[key]
        if not whole:
            continue
        axis = _scale(max(one[key] or 0 for one in rows), name)
        shown = [
            Bar(
                one["function"],
                one[key] or 0,
                f"{_round(one[key])} {unit}  ·  {one[key] / whole:.2f}" if one[key] else "not known",
                SDK if one["is_baseline"] else OURS,
            )
            for one in rows
        ]
        parts += bars(frame, axis, shown, [Limit(0.4 * whole, wanted)], names=key == "median_seconds", column=True)
    ours = next((one for one in rows if one["function"] == "roll_back"), rows[0])
    about = (
        f"roll_back answers its first event after {ours['median_seconds']:.2f} seconds, the same rollback with the high-level SDK after "
        f"{sdk['median_seconds']:.2f}."
    )
    return sheet(_COLD_START, about, _WIDTH, bottom + 48, parts)


def rollback(found: Sequence[Mapping[str, Any]]) -> str:
    """Warm and started, on bare servers and with delays; every part on its own scale."""
    states = [cold for cold in (False, True) if any(one.get("cold", False) is cold for one in found)]
    parts = [
        text(12, 26, _ROLLBACK, "title"),
        text(12, 46, "bar: the median; thin line: up to the 99th percentile; each part has its own scale", "small"),
    ]
    height = 100
    wide = (_WIDTH - 190 - 24) / len(states)
    for row, delayed in enumerate((False, True)):
        top = 100 + row * 160
        for column, cold in enumerate(states):
            left = 178 + column * (wide + 24)
            frame = Frame(left, top, left + wide - 12, top + 84)
            by_way = {
                one["what"]: one
                for one in found
                # The two calls need no instance.
                if one["delayed"] is delayed and (one.get("cold", False) is cold or one["what"] == _CALLS)
            }
            rows = [
                Bar(name, one["p50"], _milliseconds(one["p50"]), colour, one["p99"])
                for way, (name, colour) in _WAYS.items()
                if (one := by_way.get(way))
            ]
            axis = _scale(max(bar.most or bar.value for bar in rows), "milliseconds")
            calls = "calls of 80 and 150 ms" if delayed else "calls on bare servers"
            parts.append(text(frame.left, top - 10, f"{'started by the alert' if cold else 'warm'}, {calls}", ""))
            parts += bars(frame, axis, rows, names=column == 0)
        height = top + 84 + 48
    quick = next(one for one in found if not one["delayed"] and not one.get("cold") and one["what"].startswith("alert"))
    about = f"From an alert to the restored split: {quick['p50']:.1f} milliseconds at the median with a warm function on bare servers."
    return sheet(_ROLLBACK, about, _WIDTH, height, parts)


def scale(found: Mapping[str, Any]) -> str:
    """Calls, seconds and memory of a tick, by the number of rollouts."""
    growth = {
        kind: sorted((one for one in found["growth"] if one["store"] == kind), key=lambda one: int(one["rollouts"]))
        for kind in dict.fromkeys(one["store"] for one in found["growth"])
    }
    ours = growth.get("sqlite") or next(iter(growth.values()))
    most = max(one["rollouts"] for one in found["growth"])
    x = _decades(most, "rollouts in progress")
    peers = sorted(found["peers"], key=lambda one: int(one["rollouts"]))
    each = peers[-1]["calls"] / peers[-1]["rollouts"] - 1 if peers else 0
    """Queries of a rollout; one call more is its endpoint."""
    parts = [
        text(12, 26, _SCALE, "title"),
        *_legend(50, [(OURS, "one tick, which asks for all rollouts at once")]),
        *_legend(
            70,
            [
                (
                    SDK,
                    "rollout by rollout, as Flagger and Argo Rollouts ask: one read, and a query for each metric and arm (dashed: computed)",
                )
            ],
        ),
    ]
    asked = (
        ("reads of Vertex AI", [(one["rollouts"], one["vertex"] + one["pages"] - one["ticks"]) for one in ours], 1.0),
        ("queries of Cloud Monitoring", [(one["rollouts"], one["monitoring"]) for one in ours], each),
    )
    y = _decades(max(QUOTA, most * max(1.0, each)), "calls in one tick")
    for (name, points, per_rollout), frame in zip(
        asked, (Frame(72, 122, 316, 322), Frame(452, 122, 696, 322)), strict=True
    ):
        limits = [Limit(QUOTA, f"quota: {QUOTA} a minute", inside=True)] if name.endswith("AI") else []
        parts.append(text(frame.left, 108, name))
        parts += chart(frame, x, y, _apart([*_theirs(peers, most, per_rollout), _named(points, OURS)], y), limits)
    kinds = list(zip(growth.items(), (OURS, FLOOR), strict=False))
    parts += _legend(402, [(colour, f"records in {_STORES.get(kind, kind)}") for (kind, _), colour in kinds])
    seconds = _decades(max(100.0, *(one["seconds"] for one in found["growth"])), "", low=0.1)
    memory = Axis(0, max(600.0, *(1.1 * one["mib"] for one in found["growth"])), (0, 128, 256, 384, 512), "")
    for name, key, axis, limit, frame in (
        (
            "seconds of the tick",
            "seconds",
            seconds,
            Limit(45, "the limit: 45 s", inside=True),
            Frame(72, 444, 316, 644),
        ),
        (
            "memory of its largest process, MiB",
            "mib",
            memory,
            Limit(512, "the limit: 512", inside=True),
            Frame(452, 444, 696, 644),
        ),
    ):
        lines = [_named([(one["rollouts"], one[key]) for one in grown], colour) for (_, grown), colour in kinds]
        parts.append(text(frame.left, 432, name))
        parts += chart(frame, x, axis, _apart(lines, axis), [limit])
    last = asked[0][1][-1][1] + asked[1][1][-1][1]
    about = f"One tick over {most:,} rollouts makes {last:,} calls; a query for each metric and rollout would make {most * (1 + each):,.0f}."
    return sheet(_SCALE, about, _WIDTH, 696, parts)


def intake(found: Mapping[str, Any]) -> str:
    """Events per second in each way, and whose code a request's time goes to."""
    profile = found["profile"]
    ways = [
        Bar(
            f"{one['what'].replace('idle', 'one that does nothing')}, {one['processes']} process{'es' if one['processes'] > 1 else ''}",
            one["per_second"],
            f"{one['per_second']:,.0f}",
            OURS if one["what"] == "roll_back" else FLOOR,
        )
        for one in found["ways"]
        if one["p50"]
    ]
    reads = found["ways"][-1]
    ways.append(Bar("the local Vertex AI by itself", reads["per_second"], f"{reads['per_second']:,.0f}", FLOOR))
    frame = Frame(250, 84, _WIDTH - 12, 84 + 28 * len(ways))
    parts = [
        text(12, 26, _INTAKE, "title"),
        text(
            12,
            46,
            f"{found['ways'][0]['callers']} callers at once; each event asks Vertex AI once; green: what cannot be exceeded here",
            "small",
        ),
        text(frame.left, 74, "events per second"),
        *bars(frame, _scale(max(bar.value for bar in ways), ""), ways),
    ]
    bottom = frame.bottom + 32
    if profile:
        whole = profile["milliseconds"]
        rows = [
            Bar(
                re.split("[:,]", one["what"])[0],
                100 * one["milliseconds"] / whole,
                f"{one['milliseconds'] / whole:.0%}",
                OURS,
            )
            for one in profile["parts"]
        ]
        frame = Frame(250, bottom + 40, _WIDTH - 12, bottom + 40 + 24 * len(rows))
        parts.append(
            text(frame.left, frame.top - 10, f"% of a request to {profile['function']}, by whose code it is spent in")
        )
        parts += bars(frame, _scale(max(bar.value for bar in rows), ""), rows)
        bottom = frame.bottom + 32
    ours = max(bar.value for bar in ways if bar.colour == OURS)
    return sheet(_INTAKE, f"{ours:,.0f} events per second at the most.", _WIDTH, round(bottom), parts)


def detection(found: Sequence[Mapping[str, Any]]) -> str:
    """Who notices how soon, by how bad the candidate is."""
    harms = list(dict.fromkeys(one["bad"] for one in found))
    parts = [
        text(12, 26, _DETECTION, "title"),
        text(
            12, 46, "candidate at 10 % of 10 requests per second; bar: the median; thin line: up to the worst", "small"
        ),
    ]
    wide = (_WIDTH - 262) / len(harms)
    axis = _scale(max(one["worst"] for one in found) / 60, "minutes")
    bottom = 0.0
    for column, harm in enumerate(harms):
        rows = [
            Bar(
                one["source"].replace(", who count by the minute", ""),
                one["median"] / 60,
                f"{one['median'] / 60:.1f}",
                FLOOR if one["source"].startswith("the callers") else OTHER if "Monitoring" in one["source"] else OURS,
                one["worst"] / 60,
            )
            for one in found
            if one["bad"] == harm
        ]
        left = 200 + column * (wide + 20)
        frame = Frame(left, 84, left + wide - 20, 84 + 28 * len(rows))
        bottom = frame.bottom
        parts.append(text(frame.left, 74, harm))
        parts += bars(frame, axis, rows, names=column == 0)
    said = [f"{one['source']} after {one['median'] / 60:.1f} minutes" for one in found if one["bad"] == harms[0]]
    return sheet(_DETECTION, f"With {harms[0]}: {', '.join(said)}.", _WIDTH, round(bottom + 48), parts)


def _theirs(peers: Sequence[Mapping[str, Any]], most: int, per_rollout: float) -> Iterator[Line]:
    """What was measured with points, what follows from it dashed."""
    if not peers or not per_rollout:
        return
    measured = [(float(one["rollouts"]), one["rollouts"] * per_rollout) for one in peers]
    last = measured[-1][0]
    yield Line(measured, SDK, "" if most > last else f"{measured[-1][1]:,.0f}", dots=True)
    if most > last:
        yield Line([measured[-1], (most, most * per_rollout)], SDK, f"{most * per_rollout:,.0f}", dashed=True)


def _named(points: Sequence[tuple[float, float]], colour: str) -> Line:
    value = points[-1][1]
    return Line(points, colour, f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}", dots=True)


def _apart(lines: Sequence[Line], axis: Axis) -> list[Line]:
    """Only what ends furthest to the right is named, and what would lie upon another name is not."""
    furthest = max(line.points[-1][0] for line in lines)
    kept: list[Line] = []
    for line in lines:
        x, y = line.points[-1]
        is_near = any(abs(axis.place(one.points[-1][1]) - axis.place(y)) < 0.08 for one in kept if one.name)
        kept.append(line if x == furthest and not is_near else replace(line, name=""))
    return kept


def _legend(y: float, names: Sequence[tuple[str, str]]) -> Iterator[str]:
    x = 12.0
    for colour, name in names:
        yield f'<rect class="t{colour}" x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12"/>'
        yield text(x + 18, y, name, "small")
        x += 18 + 7 * len(name) + 24


def _scale(most: float, name: str) -> Axis:
    """From 0, with room for what is said beside the longest bar, and up to five round marks."""
    step = next(unit * 10**power for power in range(-3, 6) for unit in (1, 2, 5) if most / (unit * 10**power) <= 4)
    marks = [step * number for number in range(int(most / step + 1e-9) + 1)]
    return Axis(0, most / 0.62, [round(mark, 6) for mark in marks], name, shown=",g")


def _decades(most: float, name: str, low: float = 1) -> Axis:
    marks = [mark for mark in (0.1, *_DECADES) if mark >= low]
    top = next(mark for mark in marks if mark >= max(most, 10 * low))
    return Axis(low, top, [mark for mark in marks if mark <= top], name, log=True, shown=",g")


def _round(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


_COLD_START = "A cold start: from executing a function's process to the answer of its first event"
_ROLLBACK = "From an alert to the restored traffic"
_SCALE = "What a tick costs with more and more rollouts"
_DETECTION = "From the first bad answer to the restored traffic, by who notices"
_INTAKE = "Alerts that roll_back takes in, and where the time of one goes"
_STORES = {"sqlite": "SQLite", "firestore": "Firestore's emulator"}
_CALLS = "the two bare calls"
_WAYS = {
    "alert published to split restored": ("roll_back", OURS),
    "the same with the high-level SDK": ("with the high-level SDK", SDK),
    _CALLS: ("the two calls alone", FLOOR),
}
PICTURES: Mapping[str, Picture] = {
    "cold_start": Picture(_COLD_START, cold_start),
    "detection": Picture(_DETECTION, detection),
    "intake": Picture(_INTAKE, intake),
    "rollback": Picture(_ROLLBACK, rollback),
    "scale": Picture(_SCALE, scale),
}
