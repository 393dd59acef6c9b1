"""The moving picture of the demo: ``python -m docs.demo_picture --record .run/demo`` after ``make demo``, then without options to draw.

What is drawn is a recorded run (docs/pictures/demo.json): every change of the traffic that the ledger has, and the sentences that people were
told, at the moments at which they were. Nothing is staged; another recording draws another picture. The picture needs no script: it moves by
CSS, stands still at its end for readers who want no motion, and follows the reader's light or dark setting.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from shared.rollout.record import LedgerEntry
from shared.store.sqlite import SQLiteDocuments
from shared.store.store import Store

FOLDER = Path(__file__).parent / "pictures"
RECORDING, PICTURE = FOLDER / "demo.json", FOLDER / "demo.svg"
MOVING, READING, RESTING = 14.0, 2.2, 2.0
"""Seconds in which time passes; for which it stops at each change of traffic, so that its sentence can be read; and at the end."""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 376, 56, 24, 62, 262
_TOLD = ("start", "advance", "promote", "roll_back")
_LINE = 112
"""Characters of a sentence that fit."""
_COLOURS = 4
_STYLE = """
    text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f; }
    .small { font-size: 12px; fill: #57606a; }
    .title { font-size: 17px; font-weight: 600; }
    .page { fill: #ffffff; stroke: #d8dee4; }
    .cover { fill: #ffffff; }
    rect { shape-rendering: crispEdges; }
    .grid { stroke: #d8dee4; }
    .v0 { fill: #6ea8fe; } .v1 { fill: #4ac26b; } .v2 { fill: #f0883e; } .v3 { fill: #a371f7; }
    .name { font-weight: 600; fill: #ffffff; text-anchor: middle; }
    .bad { fill: #cf222e; }
    .good { fill: #1a7f37; }
    .now { stroke: #24292f; stroke-width: 1.5; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; } .small { fill: #9ea7b3; } .page { fill: #0d1117; stroke: #30363d; } .cover { fill: #0d1117; }
      .grid { stroke: #30363d; } .v0 { fill: #1f5fbf; } .v1 { fill: #238636; } .v2 { fill: #bd561d; } .v3 { fill: #8250df; }
      .name { fill: #ffffff; } .bad { fill: #ff7b72; } .good { fill: #56d364; } .now { stroke: #e6edf3; }
    }
"""


@dataclass(frozen=True)
class Shift:
    """From this minute on the traffic is split so; by version, in percent."""

    minute: float
    split: Mapping[str, int]


@dataclass(frozen=True)
class Sentence:
    """What people were told at this minute."""

    minute: float
    decision: str
    text: str


@dataclass(frozen=True)
class Recording:
    """One run, in minutes of its compressed time."""

    minutes: float
    shifts: tuple[Shift, ...]
    sentences: tuple[Sentence, ...]


class Showing:
    """When in the showing each minute of the run is, in seconds: the changes of traffic take their time."""

    def __init__(self, run: Recording) -> None:
        self._run = run
        self.stops = sorted({s.minute for s in run.sentences if s.decision != "start"})
        self.seconds = MOVING + READING * len(self.stops) + RESTING

    def begins(self, minute: float) -> float:
        """The first moment at which this minute is seen."""
        return MOVING * minute / self._run.minutes + READING * sum(stop < minute for stop in self.stops)

    def percent(self, seconds: float) -> float:
        return 100 * seconds / self.seconds


def main() -> int:
    """Record, or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="what a demo has left, such as .run/demo")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if options.record:
        store = Store(SQLiteDocuments(str(options.record / "rollouts.db")))
        ledger = store.ledger()
        rollouts = [r for model in {e.model for e in ledger if e.model} for r in store.rollouts_of_model(model)]
        kept = record(ledger, {r.deployed_id: f"v{r.version}" for r in rollouts})
        store.close()
        RECORDING.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PICTURE.write_text(draw(read(json.loads(RECORDING.read_text(encoding="utf-8")))), encoding="utf-8")
    print(f"wrote docs/pictures/{PICTURE.name}")
    return 0


def record(ledger: Sequence[LedgerEntry], names: Mapping[str, str]) -> dict[str, Any]:
    """What of a ledger is drawn; ``names`` are those of the deployed models."""
    began, ended = ledger[0].at, ledger[-1].at
    minute = {e.id: round((e.at - began).total_seconds() / 60, 1) for e in ledger}
    shifts = [
        {"minute": minute[e.id], "split": {names[d]: share for d, share in e.traffic_after.items() if share}}
        for e in ledger
        if e.traffic_after and e.traffic_after != e.traffic_before
    ]
    told = [
        {"minute": minute[e.id], "decision": e.decision, "text": e.sentence}
        for e in ledger
        if e.decision in _TOLD and not e.sentence.startswith("Queued")
    ]
    return {"minutes": round((ended - began).total_seconds() / 60, 1), "shifts": shifts, "sentences": told}


def read(kept: Mapping[str, Any]) -> Recording:
    """A recording as it was written."""
    return Recording(
        kept["minutes"],
        tuple(Shift(s["minute"], s["split"]) for s in kept["shifts"]),
        tuple(Sentence(s["minute"], s["decision"], s["text"]) for s in kept["sentences"]),
    )


def draw(run: Recording) -> str:
    """The whole picture."""
    far = _WIDTH - _LEFT
    about = "; ".join(s.text.split(":")[0] for s in run.sentences)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="t d">',
        '<title id="t">A recorded run of make demo: who has the traffic, and why</title>',
        f'<desc id="d">{escape(about)}</desc>',
        f"<style>{_STYLE}{''.join(_motion(run))}</style>",
        f'<clipPath id="in"><rect x="1" y="1" width="{_WIDTH - 2}" height="{_HEIGHT - 2}" rx="8"/></clipPath>',
        f'<rect class="page" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="8"/>',
        '<text class="title" x="24" y="34">make demo</text>',
        f'<text class="small" x="{_WIDTH - 24}" y="34" text-anchor="end">'
        f"four training runs, {_clock(run.minutes)} h of compressed time; a recorded run</text>",
        *_grid(),
        *_bands(run),
        f'<g clip-path="url(#in)"><g class="cover-moves">'
        f'<rect class="cover" x="{_LEFT}" y="{_TOP - 6}" width="{far}" height="{_BOTTOM - _TOP + 12}"/>'
        f'<line class="now" x1="{_LEFT}" y1="{_TOP - 6}" x2="{_LEFT}" y2="{_BOTTOM + 6}"/></g></g>',
        *_sentences(run),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(run: Recording, minute: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * minute / run.minutes


def _grid() -> Iterator[str]:
    for percent in (0, 50, 100):
        y = _BOTTOM - (_BOTTOM - _TOP) * percent / 100
        yield f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}"/>'
        yield f'<text class="small" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>'


def _bands(run: Recording) -> Iterator[str]:
    """Who has which share, from each change to the next, the oldest version at the bottom."""
    ends = [*(s.minute for s in run.shifts[1:]), run.minutes]
    named: set[str] = set()
    for shift, end in zip(run.shifts, ends, strict=True):
        begin, below = _x(run, shift.minute), 0
        wide = _x(run, end) - begin
        for version in sorted(shift.split, key=_number):
            share = shift.split[version]
            height = (_BOTTOM - _TOP) * share / 100
            y = _BOTTOM - (_BOTTOM - _TOP) * (below + share) / 100
            kind = (_number(version) - 1) % _COLOURS
            yield f'<rect class="v{kind}" x="{begin:.1f}" y="{y:.1f}" width="{wide + 0.3:.1f}" height="{height:.1f}"/>'
            if wide > 26 and height > 18 and (version not in named or share == 100):
                named.add(version)
                yield f'<text class="name" x="{begin + wide / 2:.1f}" y="{y + height / 2 + 5:.1f}">{version}</text>'
            below += share


def _number(version: str) -> int:
    return int(version.lstrip("v"))


def _sentences(run: Recording) -> Iterator[str]:
    """One after the other at one place; the last one stays."""
    for number, sentence in enumerate(run.sentences):
        kind = {"roll_back": "bad", "promote": "good"}.get(sentence.decision, "")
        lines = textwrap.wrap(sentence.text, _LINE)[:3]
        yield f'<g class="said s{number}">'
        yield f'<text class="small" x="24" y="306">{_clock(sentence.minute)}</text>'
        for row, line in enumerate(lines):
            yield f'<text class="{kind}" x="72" y="{306 + 22 * row}">{escape(line)}</text>'
        yield "</g>"


def _motion(run: Recording) -> Iterator[str]:
    """The cover gives way to the right and rests at each change; a sentence is seen from its moment to the next one's."""
    showing = Showing(run)
    runs = f"{showing.seconds:.1f}s linear infinite"
    far = _WIDTH - _LEFT - _RIGHT + 2
    frames = ["0% { transform: translateX(0); }"]
    for minute in showing.stops:
        begin = showing.begins(minute)
        both = f"{showing.percent(begin):.2f}%, {showing.percent(begin + READING):.2f}%"
        # A little beyond its moment, so that the change is seen when its sentence is.
        frames.append(f"{both} {{ transform: translateX({_x(run, minute) - _LEFT + 4:.1f}px); }}")
    end = showing.percent(showing.seconds - RESTING)
    frames.append(f"{end:.2f}%, 100% {{ transform: translateX({far}px); }}")
    yield f"@keyframes cover {{ {' '.join(frames)} }}\n.cover-moves {{ animation: cover {runs}; }} .said {{ opacity: 0; }}\n"
    begins = [showing.percent(showing.begins(s.minute)) for s in run.sentences]
    for number, begin in enumerate(begins):
        stays = number + 1 == len(begins)
        end = 100.0 if stays else begins[number + 1]
        yield (
            f"@keyframes s{number} {{ 0%, {begin:.2f}% {{ opacity: 0; }} {begin + 0.02:.2f}%, {end - 0.02:.2f}% {{ opacity: 1; }} "
            f"{end:.2f}%, 100% {{ opacity: {int(stays)}; }} }} .s{number} {{ animation: s{number} {runs}; }}\n"
        )
    yield (
        "@media (prefers-reduced-motion: reduce) { .cover-moves, .said { animation: none; } "
        f".cover-moves {{ transform: translateX({far}px); }} .s{len(begins) - 1} {{ opacity: 1; }} }}\n"
    )


def _clock(minutes: float) -> str:
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}"


if __name__ == "__main__":
    sys.exit(main())
