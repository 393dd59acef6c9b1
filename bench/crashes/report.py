"""What was played, and how it ended: as a table, as JSON, and kept flow by flow."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.crashes.cases import Outcome
from bench.numbers import table


@dataclass
class Played:
    """All runs of one flow."""

    flow: str
    points: int
    """How many single things can go wrong."""
    singles: int = 0
    pairs: int = 0
    same_state: int = 0
    """Pairs that were not played, because their first death leaves a state from which all the same were."""
    not_played: int = 0
    """Pairs that were left out because only a share was wanted."""
    cut: int = 0
    """Of the pairs: how many came to a state that had been played to its end before."""
    unmet: int = 0
    """Runs in which not every planned fault came to pass."""
    by_fault: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, outcome: Outcome, *, is_pair: bool) -> None:
        """Count one run."""
        if is_pair:
            self.pairs += 1
            self.cut += outcome.is_cut
        else:
            self.singles += 1
            fault = str(outcome.points[0].fault)
            self.by_fault[fault] = self.by_fault.get(fault, 0) + 1
        self.unmet += outcome.happened < len(outcome.points)
        if outcome.wrong:
            self.wrong.append(str(outcome))

    @property
    def progress(self) -> str:
        return f"{self.flow}: {self.singles} of {self.points} singles, {self.pairs} pairs, {len(self.wrong)} wrong"


def as_json(found: Sequence[Played]) -> dict[str, Any]:
    """By flow."""
    return {
        p.flow: {
            "points": p.points,
            "singles": p.singles,
            "pairs": p.pairs,
            "pairs_of_a_known_first_state": p.same_state,
            "pairs_not_played": p.not_played,
            "pairs_cut_at_a_known_state": p.cut,
            "faults_not_met": p.unmet,
            "by_fault": p.by_fault,
            "wrong": p.wrong,
            "seconds": round(p.seconds, 1),
        }
        for p in found
    }


def _rows(found: Sequence[Played]) -> list[list[str]]:
    rows = [[p.flow, f"{p.singles}", f"{p.pairs}", f"{p.same_state}", f"{len(p.wrong)}"] for p in found]
    sums = [sum(getattr(p, name) for p in found) for name in ("singles", "pairs", "same_state")]
    return [*rows, ["all", *map(str, sums), str(sum(len(p.wrong) for p in found))]]


HEAD = ["flow", "singles", "pairs", "pairs of a first state that was played", "did not converge"]


def show(found: Sequence[Played]) -> str:
    """For a terminal."""
    faults: dict[str, int] = {}
    for played in found:
        for fault, count in played.by_fault.items():
            faults[fault] = faults.get(fault, 0) + count
    counted = ", ".join(f"{fault} {count}" for fault, count in sorted(faults.items(), key=lambda f: -f[1]))
    return f"{table(HEAD, _rows(found))}\n\nsingles by fault: {counted}"


def keep(out: Path, found: Sequence[Played], on: datetime) -> None:
    """Put the numbers of these flows beside those of the others; ``docs.generate`` makes the table of docs/reliability.md from them."""
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for name, numbers in as_json(found).items():
        kept[name] = {"on": f"{on:%Y-%m-%d}", "python": platform.python_version(), **numbers}
    out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
