"""Results as the benches keep them, of different sizes, for what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def scale_results(sizes: Sequence[int], most_on_firestore: int = 0) -> dict[str, Any]:
    """Ticks over so many rollouts, and one over a thousand busy ones where those are among them."""
    growth = [_growth(n, "sqlite") for n in sizes]
    growth += [_growth(n, "firestore") for n in sizes if n <= most_on_firestore]
    busy = {**_growth(1000, "sqlite"), "cpu_seconds": 8.0} if 1000 in sizes else None
    peers = [{"rollouts": n, "calls": 7 * n, "refused": 0, "seconds": n / 300} for n in sizes if n <= 1000]
    flat = {"rollouts": max(sizes), "few": 100, "cpu_seconds": 0.0044, "few_cpu_seconds": 0.0042}
    return {
        "rps": 10.0, "growth": growth, "peers": peers, "recovery": None, "busy_rps": 100.0, "busy": busy,
        "flat": flat if max(sizes) > 100 else None,
    }  # fmt: skip


def _growth(rollouts: int, store: str) -> dict[str, Any]:
    ticks = -(-rollouts // 6000)
    cpu = 0.02 + 0.004 * rollouts
    return {
        "rollouts": rollouts, "store": store, "ticks": ticks, "seconds": 0.35 + cpu / ticks,
        "alone_seconds": 0.35 + cpu / ticks, "cpu_seconds": cpu,
        "mib": 150 + rollouts / 40, "vertex": ticks, "pages": -(-rollouts // 100) * ticks, "monitoring": 3 * ticks,
        "reads": 12, "documents": 2 * rollouts, "writes": 1 + rollouts // 100, "loop_seconds": 0.25,
    }  # fmt: skip


def rollback_results(*, cold: bool) -> list[dict[str, Any]]:
    """Every way, on bare servers and with delays; with an instance that has to be started, if ``cold``."""
    ours, sdk, bare = "alert published to split restored", "the same with the high-level SDK", "the two bare calls"
    times = {(ours, False): 6.3, (sdk, False): 13.1, (bare, False): 3.1}
    if cold:
        times |= {(ours, True): 790.2, (sdk, True): 2650.0}
    return [
        {"what": what, "cold": started, "delayed": delayed, "samples": 10, "p50": p50 + wait, "p99": 1.3 * p50 + wait}
        for delayed, wait in ((False, 0), (True, 232))
        for (what, started), p50 in times.items()
    ]


def cold_start_results(functions: Sequence[str], *, megabytes: bool = True) -> list[dict[str, Any]]:
    """Of these functions, and of the rollback in two other ways; not every system says how much memory there is."""
    names = [*functions, "gapic_rollback", "sdk_rollback"]
    return [
        {"function": name, "is_baseline": name not in functions, "event": "an event", "seconds": [0.4 + 0.1 * n],
         "median_seconds": 0.4 + 0.1 * n, "pss_megabytes": 45.0 + 9 * n if megabytes else None}
        for n, name in enumerate(names)
    ]  # fmt: skip


def intake_results(*, profile: bool) -> dict[str, Any]:
    """Of both functions and the local Vertex AI, with where the time goes."""
    ways = (("idle", 1, 537.2), ("roll_back", 1, 115.1), ("roll_back", 2, 248.7), ("GetEndpoint by itself", 1, 1422.7))
    parts = {
        "the call of Vertex AI itself: gRPC, and waiting for the answer": 4.97,
        "our own code": 1.46,
        "Python's standard library": 1.36,
        "Functions Framework, Flask, CloudEvents": 1.12,
        "the store: SQLite": 0.23,
    }
    spent = [{"what": what, "milliseconds": milliseconds, "calls": 0} for what, milliseconds in parts.items()]
    return {
        "ways": [
            {"what": what, "processes": n, "callers": 16, "per_second": rate, "p50": p50, "p99": 3 * p50}
            for (what, n, rate), p50 in zip(ways, (24.9, 133.9, 57.9, 0.0), strict=True)
        ],
        "profile": {"function": "roll_back", "milliseconds": 9.14, "parts": spent} if profile else None,
    }
