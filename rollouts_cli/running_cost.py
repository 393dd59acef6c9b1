"""What the system itself costs a month: counted calls times Google's list prices.

Counts are those of the code: a tick a minute, two other schedules, and what one rollout does from its training run to its promotion
(``make soak`` counts the same). Prices are the list prices of us-central1, in USD, without free tiers unless named; the models' own
machines are not in it, since they run with or without us.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

PRICED_ON = date(2026, 11, 26)
"""When the prices below were last looked at."""
HOURS = 730.0
"""Of a month."""

CPU_SECOND, GIB_SECOND, MILLION_REQUESTS = 0.000024, 0.0000025, 0.40
"""Cloud Run functions, request-based billing, tier 1."""
FREE_CPU, FREE_GIB, FREE_REQUESTS = 180_000, 360_000, 2_000_000
"""Cloud Run's free tier of a month: vCPU-seconds, GiB-seconds, requests."""
READS, WRITES, STORED_GIB = 0.03 / 100_000, 0.09 / 100_000, 0.15
"""Firestore, per document and per GiB and month."""
PUBSUB_TIB, SCHEDULER_JOB, SECRET, LOG_GIB = 40.0, 0.10, 0.06, 0.50
FREE_LOG_GIB, FREE_PUBSUB_GIB = 50, 10
MONITORED_READS = 0.01 / 1000
"""Cloud Monitoring API calls that read, beyond a million a month."""
FREE_MONITORED_READS = 1_000_000
ALERT_CONDITION = 0.10
"""A month; alerting is charged by condition."""

TICKS = 60 * HOURS
SCHEDULES = 6
HELD_HOURS = 26.0
"""How long a rollout is open: two hours of stages, a day of watch."""
TARGETS_PER_REGION = 50.0


@dataclass(frozen=True)
class Line:
    """One position of the bill, per month."""

    what: str
    usd: float
    how: str


def bill(rollouts: int, models: int = 10) -> list[Line]:
    """The positions for so many rollouts a month, of so many served models."""
    open_ = rollouts * HELD_HOURS / HOURS
    """Rollouts that are open at any moment."""
    others = TICKS / 5 + TICKS / 10
    events = rollouts * 60.0  # registering, starting, about thirty steps, their notices
    seconds = TICKS * (0.6 + 0.004 * open_) + others * 0.3 + events * 0.4
    invocations = TICKS + others + events
    cpu = max(0.0, seconds * 1.0 - FREE_CPU) * CPU_SECOND
    memory = max(0.0, seconds * 0.5 - FREE_GIB) * GIB_SECOND
    run = cpu + memory + max(0.0, invocations - FREE_REQUESTS) / 1e6 * MILLION_REQUESTS
    # A tick reads every open rollout, its policy once, and the evidence in shards of a hundred; it writes the shards.
    shards = max(1.0, open_ / 100) if open_ else 0.0
    reads = TICKS * (open_ + shards + models) + rollouts * 400
    writes = TICKS * shards + rollouts * 120
    logged = (TICKS * 0.4 + others * 0.4 + events * 1.2) / 1e6 + TICKS * open_ * 0.0002 / 1e3
    published = (invocations * 2.0 + TICKS * 1.0) / 1e6
    monitored = TICKS * 3.0
    return [
        Line("Cloud Run functions", run, f"{invocations:,.0f} calls, {seconds:,.0f} s of one vCPU and 512 MiB"),
        Line(
            "Firestore",
            reads * READS + writes * WRITES + rollouts * 0.0002 * STORED_GIB,
            f"{reads:,.0f} reads, {writes:,.0f} writes",
        ),
        Line("Pub/Sub", max(0.0, published - FREE_PUBSUB_GIB) / 1024 * PUBSUB_TIB, f"{published:.1f} GiB"),
        Line("Cloud Scheduler", SCHEDULES * SCHEDULER_JOB, f"{SCHEDULES} jobs"),
        Line("Secret Manager", 2 * SECRET, "2 secrets"),
        Line("Cloud Logging", max(0.0, logged - FREE_LOG_GIB) * LOG_GIB, f"{logged:.1f} GiB"),
        Line(
            "Cloud Monitoring, reading",
            max(0.0, monitored - FREE_MONITORED_READS) * MONITORED_READS,
            f"{monitored:,.0f} calls",
        ),
        Line(
            "Cloud Monitoring, alerts",
            (models * 9 + 18) * ALERT_CONDITION,
            f"{models * 9 + 18} conditions, {models} models",
        ),
    ]


def table(sizes: tuple[int, ...] = (1, 100, 10_000)) -> str:
    """The bills side by side, in Markdown."""
    bills = {size: bill(size) for size in sizes}
    head = (
        "| USD a month | "
        + " | ".join(f"{size:,} rollout{'s' if size > 1 else ''}" for size in sizes)
        + " | of it, for the last |"
    )
    rows = [head, "| --- | " + "---: | " * len(sizes) + "--- |"]
    for position, first in enumerate(bills[sizes[0]]):
        cells = " | ".join(f"{bills[size][position].usd:,.2f}" for size in sizes)
        rows.append(f"| {first.what} | {cells} | {bills[sizes[-1]][position].how} |")
    rows.append("| all | " + " | ".join(f"{sum(line.usd for line in bills[size]):,.2f}" for size in sizes) + " | |")
    return "\n".join(rows)
