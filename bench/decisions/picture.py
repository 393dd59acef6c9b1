"""docs/decisions.svg: for each judge, the false rollbacks of every cell without harm beside how soon harm is found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from bench.decisions.detection import Summary
from bench.decisions.report import Results
from bench.decisions.worlds import TICKS, Cell

_ROW, _TOP, _LEFT, _WIDE, _GAP = 30, 76, 150, 380, 50
_TEXT = "#333"
_OURS, _OTHERS = "#1a73e8", "#9aa0a6"
_MARKS = {0.015: "1 → 1.5 %", 0.02: "1 → 2 %", 0.05: "1 → 5 %"}
"""Degradations that are shown, at 10 rps, by the candidate's error rate."""


def picture(results: Results) -> str:
    """The whole drawing; plain shapes, no script, its own background."""
    judges = list(next(iter(results.nulls.values())))
    height = _TOP + _ROW * len(judges) + 48
    width = _LEFT + 2 * _WIDE + _GAP + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img">',
        "<title>False rollbacks and delays, by judge</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *_axis(_LEFT, "False rollbacks, % of runs: a dot per world without harm", (0, 25, 50, 75, 100), 100, height),
        *_axis(
            _LEFT + _WIDE + _GAP,
            "Median minutes until found, at 10 rps",
            (0, 30, 60, 90, 120),
            TICKS,
            height,
        ),
        _text(_LEFT, 46, "every dot should lie at 0", "start"),
        _text(
            _LEFT + _WIDE + _GAP,
            46,
            "errors 1 → 1.5, 2 and 5 % (the largest dot); a ring: not found",
            "start",
        ),
    ]
    for row, name in enumerate(judges):
        y = _TOP + _ROW * row + _ROW / 2
        colour = _OURS if name.startswith("engine") else _OTHERS
        parts.append(_text(_LEFT - 12, y + 4, name, "end", weight="600" if colour == _OURS else "400"))
        parts += _dots(results.nulls, name, y, colour)
        parts += _delays(results.degradations, name, y, colour)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _axis(left: float, title: str, marks: tuple[int, ...], most: int, height: int) -> Iterator[str]:
    yield _text(left, 28, title, "start", weight="600")
    for mark in marks:
        x = left + _WIDE * mark / most
        yield f'<line x1="{x:.1f}" y1="{_TOP - 14}" x2="{x:.1f}" y2="{height - 40}" stroke="#e0e0e0"/>'
        yield _text(x, height - 22, str(mark), "middle")


def _dots(nulls: Mapping[Cell, Mapping[str, Summary]], name: str, y: float, colour: str) -> Iterator[str]:
    for number, (cell, found) in enumerate(nulls.items()):
        share = found[name].rolled_back
        # A little up and down, so that dots at the same place are seen to be many.
        at = y + (number % 5 - 2) * 3.4
        yield (
            f'<circle cx="{_LEFT + _WIDE * share:.1f}" cy="{at:.1f}" r="3.2" fill="{colour}" fill-opacity="0.75">'
            f"<title>{escape(name)}, {escape(cell.name)}: {share * 100:.3g} %</title></circle>"
        )


def _delays(cells: Mapping[Cell, Mapping[str, Summary]], name: str, y: float, colour: str) -> Iterator[str]:
    left = _LEFT + _WIDE + _GAP
    for cell, found in cells.items():
        if cell.rps != 10 or cell.kind != "plain" or cell.stable != 0.01 or cell.candidate not in _MARKS:
            continue
        median = found[name].median_ticks
        label = _MARKS[cell.candidate]
        x, said = (
            (left + _WIDE + 12, "not found") if math.isinf(median) else (left + _WIDE * median / TICKS, f"{median:.0f}")
        )
        size = {0.015: 3.0, 0.02: 4.5, 0.05: 6.5}[cell.candidate]
        fill = "none" if math.isinf(median) else colour
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{fill}" fill-opacity="0.6" stroke="{colour}">'
            f"<title>{escape(name)}, {label}: {said}</title></circle>"
        )


def _text(x: float, y: float, text: str, anchor: str, weight: str = "400") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_TEXT}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
