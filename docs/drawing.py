"""Plots as plain SVG: no script, no font of ours, light and dark, readable as a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
    text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f; }
    .small { font-size: 12px; fill: #57606a; }
    .title { font-size: 14px; font-weight: 600; }
    .page { fill: #ffffff; }
    .grid { stroke: #d8dee4; }
    .limit { stroke: #57606a; stroke-dasharray: 6 4; }
    .a { stroke: #1a56db; } .b { stroke: #c2410c; } .c { stroke: #15803d; } .d { stroke: #7e22ce; }
    .ta { fill: #1a56db; } .tb { fill: #c2410c; } .tc { fill: #15803d; } .td { fill: #7e22ce; }
    .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
    .thin { fill: none; stroke-width: 1; stroke-opacity: 0.35; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; } .small { fill: #9ea7b3; } .page { fill: #0d1117; } .grid { stroke: #30363d; }
      .limit { stroke: #9ea7b3; }
      .a { stroke: #6ea8fe; } .b { stroke: #fb923c; } .c { stroke: #4ade80; } .d { stroke: #d8b4fe; }
      .ta { fill: #6ea8fe; } .tb { fill: #fb923c; } .tc { fill: #4ade80; } .td { fill: #d8b4fe; }
    }
"""
WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 44, 52


@dataclass(frozen=True)
class Axis:
    """From the lowest to the highest value, straight or by powers of ten."""

    low: float
    high: float
    marks: Sequence[float]
    name: str
    log: bool = False
    shown: str = "g"
    """How a mark is written."""

    def place(self, value: float) -> float:
        """0 to 1; what lies outside is brought to the edge."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Line:
    """One series of (x, y), named at its end unless the name is empty."""

    points: Sequence[tuple[float, float]]
    colour: str
    """``a`` to ``d``."""
    name: str = ""
    kind: str = "line"
    at_start: bool = False
    """Whether the name stands at its first point, above it."""
    dots: bool = False
    """Whether its points are seen: so many were measured."""
    dashed: bool = False


@dataclass(frozen=True)
class Limit:
    """A level that something is held against."""

    at: float
    name: str
    inside: bool = False
    """Whether the name stands above the line, and not beside the plot."""


@dataclass(frozen=True)
class Bar:
    """One of several that are compared; lying, from the left."""

    name: str
    value: float
    said: str
    """Beside it."""
    colour: str
    most: float | None = None
    """Up to here a thin line goes on."""


@dataclass(frozen=True)
class Frame:
    """Where on a sheet the plot itself is; what stands around it is outside."""

    left: float
    top: float
    right: float
    bottom: float

    def across(self, share: float) -> float:
        return self.left + share * (self.right - self.left)

    def up(self, share: float) -> float:
        return self.bottom - share * (self.bottom - self.top)


def plot(title: str, x: Axis, y: Axis, lines: Sequence[Line], limits: Sequence[Limit] = (), about: str = "") -> str:
    """One plot by itself; ``about`` is what it says, for who cannot see it."""
    frame = Frame(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
    return sheet(title, about, WIDTH, HEIGHT, [text(LEFT, 24, title, "title"), *chart(frame, x, y, lines, limits)])


def sheet(title: str, about: str, width: int, height: int, parts: Iterable[str]) -> str:
    """The whole drawing."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">',
            f'<title id="t">{escape(title)}</title>',
            f'<desc id="d">{escape(about or title)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def chart(frame: Frame, x: Axis, y: Axis, lines: Sequence[Line], limits: Sequence[Limit] = ()) -> Iterator[str]:
    """Lines over both axes."""
    yield from _grid(frame, x, y)
    for limit in limits:
        yield from _limit(frame, limit, y)
    for line in lines:
        yield from _line(frame, line, x, y)


def bars(
    frame: Frame,
    axis: Axis,
    rows: Sequence[Bar],
    limits: Sequence[Limit] = (),
    *,
    names: bool = True,
    column: bool = False,
) -> Iterator[str]:
    """One below the other, with their names to the left of the frame; what is said of them stands at their ends, or as a ``column``."""
    for mark in axis.marks:
        at = frame.across(axis.place(mark))
        yield f'<line class="grid" x1="{at:.1f}" y1="{frame.top}" x2="{at:.1f}" y2="{frame.bottom}"/>'
        yield text(at, frame.bottom + 16, format(mark, axis.shown), "small", "middle")
    if axis.name:
        yield text(frame.left, frame.bottom + 34, axis.name, "small")
    step = (frame.bottom - frame.top) / max(1, len(rows))
    for number, bar in enumerate(rows):
        middle, thick = frame.top + step * (number + 0.5), min(16, 0.72 * step)
        end = frame.across(axis.place(bar.value))
        yield (
            f'<rect class="t{bar.colour}" x="{frame.left}" y="{middle - thick / 2:.1f}" '
            f'width="{max(1.0, end - frame.left):.1f}" height="{thick:.1f}"/>'
        )
        if bar.most is not None and bar.most > bar.value:
            most = frame.across(axis.place(bar.most))
            yield f'<path class="line {bar.colour}" d="M{end:.1f},{middle:.1f}H{most:.1f}m0,-4v8"/>'
            end = most
        yield text(
            *((frame.right, middle + 4) if column else (end + 6, middle + 4)),
            bar.said,
            "small",
            "end" if column else "start",
        )
        if names:
            yield text(frame.left - 8, middle + 4, bar.name, "", "end")
    for limit in limits:
        at = frame.across(axis.place(limit.at))
        yield f'<line class="limit" x1="{at:.1f}" y1="{frame.top - 4}" x2="{at:.1f}" y2="{frame.bottom}"/>'
        yield text(at, frame.top - 9, limit.name, "small", "middle")


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'


def _grid(frame: Frame, x: Axis, y: Axis) -> Iterator[str]:
    for mark in y.marks:
        at = frame.up(y.place(mark))
        yield f'<line class="grid" x1="{frame.left}" y1="{at:.1f}" x2="{frame.right}" y2="{at:.1f}"/>'
        yield text(frame.left - 8, at + 4, format(mark, y.shown), "small", "end")
    for mark in x.marks:
        at = frame.across(x.place(mark))
        yield f'<line class="grid" x1="{at:.1f}" y1="{frame.top}" x2="{at:.1f}" y2="{frame.bottom}"/>'
        yield text(at, frame.bottom + 18, format(mark, x.shown), "small", "middle")
    yield text((frame.left + frame.right) / 2, frame.bottom + 38, x.name, "small", "middle")
    if y.name:
        middle = (frame.top + frame.bottom) / 2
        place = f"translate({frame.left - 48} {middle}) rotate(-90)"
        yield f'<text class="small" text-anchor="middle" transform="{place}">{escape(y.name)}</text>'


def _limit(frame: Frame, limit: Limit, y: Axis) -> Iterator[str]:
    at = frame.up(y.place(limit.at))
    yield f'<line class="limit" x1="{frame.left}" y1="{at:.1f}" x2="{frame.right}" y2="{at:.1f}"/>'
    if limit.inside:
        yield text(frame.left + 6, at - 6, limit.name, "small")
    else:
        yield text(frame.right + 8, at + 4, limit.name, "small")


def _line(frame: Frame, line: Line, x: Axis, y: Axis) -> Iterator[str]:
    drawn = [(frame.across(x.place(a)), frame.up(y.place(b))) for a, b in line.points]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in drawn)
    dashes = ' stroke-dasharray="2 5" stroke-linecap="round"' if line.dashed else ""
    yield f'<polyline class="{line.kind} {line.colour}"{dashes} points="{path}"/>'
    if line.dots:
        yield from (f'<circle class="t{line.colour}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in drawn)
    if line.name and line.at_start:
        a, b = drawn[0]
        yield text(a, b - 8, line.name, f"t{line.colour}")
    elif line.name:
        a, b = drawn[-1]
        yield text(a + 8, b + 4, line.name, f"t{line.colour}")
