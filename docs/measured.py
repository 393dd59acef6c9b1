"""Tables of what `make soak` has measured, from the results that are kept in docs/*.json; ``docs.generate`` puts them into the documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent


def measured(what: str) -> str:
    """The table of one kept result."""
    kept = json.loads((DOCS / f"{what}.json").read_text(encoding="utf-8"))
    return "\n".join(_TABLES[what](kept))


def _load(kept: dict[str, Any]) -> list[str]:
    sent, settings = kept["sent"], kept["settings"]
    lines = [
        f"On {kept['on']}, {kept['cores']} cores with other work beside it: {sum(sent.values()):,} events in {kept['seconds']} s "
        f"({', '.join(f'{count:,} {kind}' for kind, count in sent.items())}), seed {settings['seed']}. "
        f"`receive_alert` answered {' and '.join(f'{count:,} times {status}' for status, count in kept['answers'].items())}.",
        "",
        "| function | deliveries | came again |",
        "| --- | --- | --- |",
        *(
            f"| `{name}` | {counts['delivered']:,} | {counts['nacked']:,} |"
            for name, counts in kept["deliveries"].items()
        ),
        "",
        "| expected | how many | lacking | twice | strange |",
        "| --- | --- | --- | --- | --- |",
    ]
    calls = [f"of {one['made']:,} calls of the {what} {one['failed']:,}" for what, one in kept["calls"].items()]
    lines[2:2] = [f"In the functions' process {' and '.join(calls)} failed.", ""]
    for one in kept["expectations"]:
        lines.append(f"| {one['what']} | {one['wanted']:,} | {one['lacking']} | {one['twice']} | {one['strange']} |")
    return lines


def _webhook(kept: dict[str, Any]) -> list[str]:
    lines = [
        f"On {kept['on']}, {kept['cores']} cores with other work beside it: {kept['requests']:,} requests in {kept['seconds']} s, "
        f"seed {kept['seed']}.",
        "",
        "| door | answers |",
        "| --- | --- |",
    ]
    for name, counted in kept["answers"].items():
        function, _, rest = name.partition(" ")
        answers = ", ".join(f"{count:,} x {status}" for status, count in counted.items())
        lines.append(f"| `{function}`{rest and f' {rest}'} | {answers} |")
    lines += ["", "| door | after a tenth | highest | at the end |", "| --- | --- | --- | --- |"]
    for name, seen in kept["megabytes"].items():
        lines.append(f"| `{name}` | {seen[0]:.0f} MB | {max(seen):.0f} MB | {seen[-1]:.0f} MB |")
    return lines


def _crashes(kept: dict[str, Any]) -> list[str]:
    """A flow of which not all was played says of how many."""
    lines = [
        "| flow | single faults | pairs of deaths | pairs after a first state that was played | did not converge | on |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, one in kept.items():
        singles = _of(one["singles"], one["points"])
        pairs = _of(one["pairs"], one["pairs"] + one["pairs_not_played"])
        same = one["pairs_of_a_known_first_state"]
        lines.append(f"| {name} | {singles} | {pairs} | {same:,} | {len(one['wrong'])} | {one['on']} |")
    sums = [sum(one[key] for one in kept.values()) for key in ("singles", "pairs", "pairs_of_a_known_first_state")]
    wrong = sum(len(one["wrong"]) for one in kept.values())
    lines.append(f"| all | {sums[0]:,} | {sums[1]:,} | {sums[2]:,} | {wrong} | |")
    return lines


def _of(played: int, there: int) -> str:
    return f"{played:,}" if played == there else f"{played:,} of {there:,}"


def _interleavings(kept: dict[str, Any]) -> list[str]:
    ends = ", ".join(f"{count:,} {end.replace('_', ' ')}" for end, count in kept["rollouts"].items())
    seeds = ", ".join(one.split(":")[0].removeprefix("seed ") for one in kept["broken"])
    found = f"seeds that broke an invariant: {seeds}" if seeds else "no invariant was broken"
    lines = [
        f"On {kept['on']}, {kept['cores']} cores with other work beside it: {kept['steps']:,} steps of {kept['seeds']} seeds "
        f"(from {kept['seed']}) in {kept['seconds']:,} s; {found}. How the rollouts ended: {ends}.",
        "",
        "| step | times |",
        "| --- | ---: |",
    ]
    return [*lines, *(f"| {kind} | {count:,} |" for kind, count in kept["by_kind"].items())]


def _killed(kept: dict[str, Any]) -> list[str]:
    lines = [
        f"On {kept['on']}, {kept['cores']} cores with other work beside it: {kept['kills']} kills in {kept['seconds']} s, seed {kept['seed']}.",
        "",
        "| expected | found | |",
        "| --- | --- | --- |",
    ]
    for one in kept["outcomes"]:
        lines.append(f"| {one['expected']} | {one['found']} | {'met' if one['is_met'] else '**not met**'} |")
    return lines


_TABLES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "load": _load,
    "webhook": _webhook,
    "crashes": _crashes,
    "interleavings": _interleavings,
    "killed": _killed,
}
