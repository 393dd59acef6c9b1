"""docs/performance.md from ``bench/results``: the ratios first, each beside its bar, then every bench's own tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PICTURE = PAGE.with_name("performance.svg")


@dataclass(frozen=True)
class Bar:
    """One thing that must hold, and what was measured."""

    what: str
    measured: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def row(self) -> str:
        """Of the page's first table."""
        sign = ">=" if self.at_least else "<="
        verdict = "holds" if self.holds else "**missed**"
        return f"| {self.what} | {self.measured:.3g}{self.unit} | {sign} {self.limit:g}{self.unit} | {verdict} |"


def save(name: str, machine: str, at: str, versions: Mapping[str, str], results: Any, text: str, settings: Any) -> Path:
    """Keep one bench's results; the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {
        "bench": name,
        "machine": machine,
        "at": at,
        "versions": dict(versions),
        "settings": settings,
        "results": results,
        "text": text,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def render() -> None:
    """Write the page and its picture from what is kept."""
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    PAGE.write_text(page(kept))
    if "scale" in kept:
        PICTURE.write_text(picture(kept["scale"]["results"]))


def page(kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, from the kept documents by bench."""
    lines = [
        "# How fast it is",
        "",
        "Written by `make bench` from `bench/results/*.json`; nothing here is edited by hand. Ratios are measured in one run on one machine, "
        "so they say more than the milliseconds beside them. Tests assert counts of calls, never times.",
        "",
        "| what | measured | bar | |",
        "| --- | --- | --- | --- |",
        *(bar.row() for bar in bars(kept)),
        "",
    ]
    if "scale" in kept:
        lines += ["![Calls of Google for one tick, by the number of rollouts](performance.svg)", ""]
    for name, document in kept.items():
        versions = ", ".join(f"{package} {version}" for package, version in document["versions"].items())
        lines += [
            f"## {name}",
            "",
            f"{document['at']} on {document['machine']}; {versions}. `python -m bench {name}`",
            "",
            "```text",
            document["text"],
            "```",
            "",
        ]
    return "\n".join(lines)


def bars(kept: Mapping[str, Mapping[str, Any]]) -> Iterator[Bar]:
    """Everything that has a bar and was measured."""
    if "cold_start" in kept:
        yield from _cold_start(kept["cold_start"]["results"])
    if "rollback" in kept:
        yield from _rollback(kept["rollback"]["results"])
    if "scale" in kept:
        yield from _scale(kept["scale"]["results"])
    if "emulator" in kept:
        found = kept["emulator"]["results"]
        for speed in found["speeds"]:
            yield Bar(
                f"local Vertex AI: {speed['method']}, by a server that does nothing", speed["ratio"], 0.7, "", True
            )
        yield Bar("local Vertex AI: start after imports", found["start_seconds"], 1.0, " s")
        growth = found["last_page_ms"] / found["first_page_ms"]
        yield Bar("local Vertex AI: the last pages of 10,000 models, by the first", growth, 1.5)


def _cold_start(found: list[dict[str, Any]]) -> Iterator[Bar]:
    by_name = {one["function"]: one for one in found}
    sdk, ours = by_name.get("sdk_rollback"), by_name.get("roll_back")
    if not sdk or not ours:
        return
    yield Bar("cold start of roll_back, by the high-level SDK's", ours["median_seconds"] / sdk["median_seconds"], 0.3)
    if ours["pss_megabytes"] and sdk["pss_megabytes"]:
        yield Bar("its memory, by the high-level SDK's", ours["pss_megabytes"] / sdk["pss_megabytes"], 0.4)
    others = [one for one in found if not one["is_baseline"] and one is not ours]
    if others:
        slowest = max(others, key=lambda one: float(one["median_seconds"]))
        ratio = slowest["median_seconds"] / sdk["median_seconds"]
        yield Bar(f"the slowest other function ({slowest['function']}), by the SDK's", ratio, 0.4)


def _rollback(found: list[dict[str, Any]]) -> Iterator[Bar]:
    by_way = {(one["what"], one["delayed"]): one for one in found}
    ours, bare = "alert published to split restored", "the two bare calls"
    quick, calls = by_way[ours, False], by_way[bare, False]
    yield Bar("warm rollback, by the two bare calls (p50)", quick["p50"] / calls["p50"], 1.5)
    yield Bar(
        "what it adds to them with realistic delays (p50)",
        by_way[ours, True]["p50"] - by_way[bare, True]["p50"],
        10,
        " ms",
    )


def _scale(found: Mapping[str, Any]) -> Iterator[Bar]:
    growth = [one for one in found["growth"] if one["store"] == "sqlite"]
    most = max(growth, key=lambda one: int(one["rollouts"]))
    name = f"{most['rollouts']:,} rollouts"
    yield Bar(
        f"calls of Vertex AI and Monitoring for each tick over {name}, pages of endpoints aside",
        (most["vertex"] + most["monitoring"]) / most["ticks"],
        6,
    )
    yield Bar(f"store writes of the tick over {name}", most["writes"], 2 * most["ticks"] + most["rollouts"] / 100)
    yield Bar(f"the tick over {name}", most["seconds"], 45, " s")
    yield Bar("its memory, the largest process", most["mib"], 512, " MiB")
    hundred = next((one for one in growth if one["rollouts"] == 100), None)
    if hundred and most["rollouts"] > 100:
        per = [one["cpu_seconds"] / one["rollouts"] for one in (hundred, most)]
        yield Bar(f"CPU per rollout, {name} by 100", per[1] / per[0], 1.2)


def picture(found: Mapping[str, Any]) -> str:
    """Calls of Google per tick, ours and one query per rollout and metric, both axes by decades."""
    ours = sorted(
        {one["rollouts"]: one["vertex"] + one["pages"] + one["monitoring"] for one in found["growth"]}.items()
    )
    peers = sorted({one["rollouts"]: one["calls"] for one in found["peers"]}.items())
    per_rollout = peers[-1][1] / peers[-1][0] if peers else 0
    asked = [(n, per_rollout * n) for n, _ in ours]
    width, height, left, bottom = 640, 320, 60, 40

    def x(rollouts: float) -> float:
        return left + math.log10(max(rollouts, 1)) / 4 * (width - left - 130)

    def y(calls: float) -> float:
        return height - bottom - math.log10(max(calls, 1)) / 5 * (height - bottom - 20)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        "<style>text{fill:#333}line{stroke:#ccc}@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#555}}</style>",
    ]
    for decade in range(5):
        at = x(10**decade)
        parts.append(f'<line x1="{at:.0f}" y1="20" x2="{at:.0f}" y2="{height - bottom}"/>')
        parts.append(f'<text x="{at:.0f}" y="{height - 22}" text-anchor="middle">{10**decade:,}</text>')
    for decade in range(6):
        at = y(10**decade)
        parts.append(f'<line x1="{left}" y1="{at:.0f}" x2="{width - 130}" y2="{at:.0f}"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.0f}" text-anchor="end">{10**decade:,}</text>')
    for points, colour, name in ((ours, "#2a7", "one tick of ours"), (asked, "#c63", "a query each")):
        path = " ".join(f"{x(n):.1f},{y(calls):.1f}" for n, calls in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        end = points[-1]
        parts.append(f'<text x="{x(end[0]) + 6:.0f}" y="{y(end[1]) + 4:.0f}">{name}: {end[1]:,.0f}</text>')
    parts.append(
        f'<text x="{left}" y="{height - 6}">rollouts; calls of Vertex AI and Monitoring in one tick</text></svg>'
    )
    return "\n".join(parts) + "\n"
