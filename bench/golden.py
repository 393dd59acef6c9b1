"""``python -m bench.golden FILE``: golden cases of evidence, through the engine that judges rollouts."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.golden_cases import Difference, Outcome, run_cases

_SHOWN = 5
"""Differences of one case that are listed; a wrong E is wrong in every tick that follows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every case agrees within the file's tolerances, 1 when one does not, 2 when the file holds no cases."""
    parser = argparse.ArgumentParser(prog="python -m bench.golden", description=__doc__)
    parser.add_argument("file", type=Path, help="JSON with tolerance and cases, as tests/data/evidence/golden.json")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        golden = json.loads(options.file.read_text(encoding="utf-8"))
        outcomes = list(run_cases(golden))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        return _no_cases(options.file, str(error))
    except (LookupError, TypeError, AttributeError):
        return _no_cases(options.file, 'it is no object with a list "cases"')
    if not outcomes:
        return _no_cases(options.file, 'its list "cases" is empty')
    print(json.dumps(as_json(outcomes), indent=2) if options.json else show(outcomes))
    return 0 if all(outcome.agrees for outcome in outcomes) else 1


def show(outcomes: Sequence[Outcome]) -> str:
    """The cases that do not agree, then the line that says it all."""
    lines = [line for outcome in outcomes if not outcome.agrees for line in _about(outcome)]
    return "\n".join([*lines, summary(outcomes)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """``golden: X of Y agree, worst relative deviation Z``."""
    agreeing = sum(outcome.agrees for outcome in outcomes)
    worst = max(outcome.deviation for outcome in outcomes)
    return f"golden: {agreeing} of {len(outcomes)} agree, worst relative deviation {worst:.2g}"


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same for programs; a deviation that is no number is null."""
    worst = max(outcome.deviation for outcome in outcomes)
    return {
        "agree": sum(outcome.agrees for outcome in outcomes),
        "cases": len(outcomes),
        "worst_relative_deviation": _finite(worst),
        "summary": summary(outcomes),
        "outcomes": [
            {
                "id": outcome.id,
                "kind": outcome.kind,
                "agrees": outcome.agrees,
                "compared": outcome.compared,
                "worst_relative_deviation": _finite(outcome.deviation),
                "differences": [
                    {key: _finite(value) for key, value in asdict(difference).items()}
                    for difference in outcome.differences
                ],
            }
            for outcome in outcomes
        ],
    }


def _about(outcome: Outcome) -> list[str]:
    differences = outcome.differences
    more = [f"  and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
    return [f"{outcome.id} ({outcome.kind}) does not agree", *map(_line, differences[:_SHOWN]), *more]


def _line(difference: Difference) -> str:
    return f"  {difference.what}: expected {difference.expected!r}, got {difference.got!r}"


def _finite(value: Any) -> Any:
    """JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _no_cases(file: Path, reason: str) -> int:
    print(
        f"{file} holds no golden cases: {reason}; see tests/data/evidence/golden.json for their form", file=sys.stderr
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
