"""Plots as plain SVG: no script, no font of ours, light and dark, readable as a file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class Limit:
    """A level that something is held against."""

    at: float
    name: str


def plot(title: str, x: Axis, y: Axis, lines: Sequence[Line], limits: Sequence[Limit] = (), about: str = "") -> str:
    """The whole drawing; ``about`` is what it says, for who cannot see it."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(about or title)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        text(LEFT, 24, title, "title"),
        *_grid(x, y),
        *(part for limit in limits for part in _limit(limit, y)),
        *(part for line in lines for part in _line(line, x, y)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'


def _across(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _up(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    for mark in y.marks:
        at = _up(y.place(mark))
        yield f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>'
        yield text(LEFT - 8, at + 4, f"{mark:g}", "small", "end")
    for mark in x.marks:
        at = _across(x.place(mark))
        yield f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>'
        yield text(at, HEIGHT - BOTTOM + 18, f"{mark:g}", "small", "middle")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x.name, "small", "middle")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f'<text class="small" text-anchor="middle" transform="translate(16 {middle}) rotate(-90)">{escape(y.name)}</text>'


def _limit(limit: Limit, y: Axis) -> Iterator[str]:
    at = _up(y.place(limit.at))
    yield f'<line class="limit" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>'
    yield text(WIDTH - RIGHT + 8, at + 4, limit.name, "small")


def _line(line: Line, x: Axis, y: Axis) -> Iterator[str]:
    drawn = [(_across(x.place(a)), _up(y.place(b))) for a, b in line.points]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in drawn)
    yield f'<polyline class="{line.kind} {line.colour}" points="{path}"/>'
    if line.name and line.at_start:
        a, b = drawn[0]
        yield text(a, b - 8, line.name, f"t{line.colour}")
    elif line.name:
        a, b = drawn[-1]
        yield text(a + 8, b + 4, line.name, f"t{line.colour}")
