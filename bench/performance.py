"""docs/performance.md from ``bench/results``: the ratios first, each beside its bar, then every bench's own picture and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import pictures
from bench.rollback import ALERT, BARE, PLAIN, SDK

TICK_SECONDS = 45
"""That a tick may take, which comes every minute."""
RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


@dataclass(frozen=True)
class Bar:
    """One thing that must hold, or that is good to know, and what was measured."""

    what: str
    measured: float
    limit: float | None = None
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        if self.limit is None:
            return True
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def row(self) -> str:
        """Of the page's first table."""
        if self.limit is None:
            return f"| {self.what} | {self.measured:.3g}{self.unit} | | |"
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
    """Write the page and its pictures from what is kept."""
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    PAGE.write_text(page(kept))
    for name, picture in pictures.drawn(kept).items():
        (pictures.FOLDER / name).write_text(picture)


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
    for name, document in kept.items():
        versions = ", ".join(f"{package} {version}" for package, version in document["versions"].items())
        lines += [
            f"## {name}",
            "",
            f"{document['at']} on {document['machine']}; {versions}. `python -m bench {name}`",
            "",
            *_picture(name),
            "```text",
            document["text"],
            "```",
            "",
        ]
    return "\n".join(lines)


def _picture(name: str) -> list[str]:
    drawn = pictures.PICTURES.get(name)
    return [f"![{drawn.title}](pictures/{pictures.file_of(name)})", ""] if drawn else []


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
    by_way = {(one["what"], one["delayed"], one.get("cold", False)): one for one in found}
    quick, calls, slow = by_way[ALERT, False, False], by_way[BARE, False, False], by_way[ALERT, True, False]
    yield Bar("warm rollback, by the two bare calls (p50)", quick["p50"] / calls["p50"], 1.5)
    if least := by_way.get((PLAIN, False, False)):
        yield Bar(
            "the same by a function that makes the two calls and nothing else, by them", least["p50"] / calls["p50"]
        )
    above = slow["p50"] - by_way[BARE, True, False]["p50"]
    yield Bar("what it adds to them with realistic delays (p50)", above, 10, " ms")
    if (ALERT, False, True) in by_way:
        ratio = by_way[ALERT, False, True]["p50"] / by_way[SDK, False, True]["p50"]
        yield Bar("rollback by an instance that the alert starts, by the high-level SDK's (p50)", ratio)
    for name, cold in (("a warm instance", False), ("an instance that the alert starts", True)):
        if one := by_way.get((ALERT, True, cold)):
            for percentile in ("p50", "p99"):
                what = f"alert to restored split with realistic delays, {name} ({percentile})"
                yield Bar(what, one[percentile] / 1000, unit=" s")


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
    shards = f", in {most['ticks']} shards at once" if most["ticks"] > 1 else ""
    yield Bar(f"the tick over {name}{shards}", most["seconds"], TICK_SECONDS, " s")
    if most["ticks"] > 1:
        yield Bar("its longest shard, when the others do not run at the same time", most["alone_seconds"], unit=" s")
    yield Bar("its memory, the largest process", most["mib"], 512, " MiB")
    if flat := found.get("flat"):
        what = f"CPU per rollout, {flat['rollouts']:,} rollouts by {flat['few']}, measured in turns"
        yield Bar(what, flat["cpu_seconds"] / flat["few_cpu_seconds"], 1.2)
    busy = found.get("busy")
    same = next((one for one in growth if busy and one["rollouts"] == busy["rollouts"]), None)
    if busy and same:
        rates = f"{busy['rollouts']:,} rollouts at {found['busy_rps']:g} requests per second by {found['rps']:g}"
        yield Bar(f"CPU per rollout, {rates}", busy["cpu_seconds"] / same["cpu_seconds"])
        shards = math.ceil(10_000 * busy["cpu_seconds"] / busy["rollouts"] / TICK_SECONDS)
        yield Bar(
            f"shards of {TICK_SECONDS} s of CPU that 10,000 rollouts at {found['busy_rps']:g} requests per second need",
            shards,
        )
