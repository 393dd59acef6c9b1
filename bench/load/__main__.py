"""``python -m bench.load``: 10,000 events, 20 % twice, 10 % poison, 5 % of the calls failing; each effect exactly once.

It starts a local cloud (the real functions behind a real Pub/Sub push), disturbs it, sends everything, and holds what is there afterwards against
what was sent. The exit code is 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

from bench.load.events import Settings
from bench.load.run import Outcome, run
from bench.trial import BenchError

DOCUMENT = Path(__file__).parents[2] / "docs" / "load.json"
_SHOWN = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it with the settings that are given."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=(__doc__ or "").splitlines()[0])
    for field in fields(Settings):
        parser.add_argument(
            f"--{field.name}", type=type(field.default), default=field.default, metavar=str(field.default)
        )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help=f"keep the result in docs/{DOCUMENT.name}")
    options = vars(parser.parse_args(arguments))
    as_json, write = options.pop("json"), options.pop("write")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        try:
            outcome = run(Settings(**options), Path(folder) / "cloud", lambda line: _tell(line, began))
        except BenchError as exc:
            print(f"load: {exc}", file=sys.stderr)
            return 1
    told = json.dumps(document(outcome), indent=2)
    print(told if as_json else show(outcome))
    if write:
        DOCUMENT.write_text(told + "\n", encoding="utf-8")
    return 0 if outcome.holds else 1


def document(outcome: Outcome) -> dict[str, object]:
    """For programs, and for the documentation."""
    return {
        "settings": asdict(outcome.settings),
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "seconds": round(outcome.seconds),
        "sent": dict(sorted(outcome.sent.items())),
        "answers": {str(status): count for status, count in sorted(outcome.answers.items())},
        "deliveries": {
            name: {key: counts[key] for key in ("delivered", "acknowledged", "nacked")}
            for name, counts in outcome.deliveries.items()
            if counts["delivered"]
        },
        "calls": {what: {"made": made, "failed": failed} for what, (made, failed) in sorted(outcome.calls.items())},
        "expectations": [
            {
                "what": one.what,
                "wanted": one.wanted,
                "lacking": len(one.lacking),
                "twice": len(one.twice),
                "strange": len(one.strange),
            }
            for one in outcome.comparisons
        ],
        "holds": outcome.holds,
    }


def show(outcome: Outcome) -> str:
    """For people: what was sent, what it cost, what was found."""
    lines = [
        f"sent in {outcome.seconds:.0f} s: "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.sent.items()))
    ]
    lines += [
        f"  {name}: {counts['delivered']} deliveries, {counts['nacked']} came again"
        for name, counts in outcome.deliveries.items()
        if counts["delivered"]
    ]
    lines += [f"  calls of the {what}: {made}, {failed} failed" for what, (made, failed) in outcome.calls.items()]
    for one in outcome.comparisons:
        lines.append(f"{'ok    ' if one.holds else 'FAILED'} {one.what}: {one.wanted}")
        for word, wrong in (("lacking", one.lacking), ("twice", one.twice), ("strange", one.strange)):
            if wrong:
                lines.append(f"       {word}: {len(wrong)}, such as {', '.join(wrong[:_SHOWN])[:400]}")
    return "\n".join(lines)


def _tell(line: str, began: float) -> None:
    print(f"{time.monotonic() - began:6.0f} s  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
