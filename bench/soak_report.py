"""The soak's result: counts beside what is promised, as a table, as JSON, and as the document that is kept."""

from __future__ import annotations

import platform
from collections import Counter
from typing import TYPE_CHECKING, Any

from bench.numbers import percentile, table
from bench.rates import Rate
from bench.soak_trials import CHECKS, EQUAL, KINDS, RPS, Trial
from shared.policy.rollout import Confidence

if TYPE_CHECKING:
    from bench.soak import Outcome

PROMOTED, ROLLED_BACK, HELD = "promoted", "rolled back", "held"
PROMISED = Confidence()


def rates(outcome: Outcome) -> tuple[Rate, Rate]:
    """False rollbacks of good candidates, in the watch too, and false promotions of bad ones."""
    good = [t for t in outcome.trials if t.kind == EQUAL]
    bad = [t for t in outcome.trials if t.kind != EQUAL]
    return (
        Rate("good candidates taken back", sum(t.end == ROLLED_BACK for t in good), len(good), PROMISED.harm),
        Rate(
            "bad candidates given all traffic", sum(t.promoted_at is not None for t in bad), len(bad), PROMISED.no_harm
        ),
    )


def _minutes(trials: list[Trial], end: str) -> list[float]:
    return [t.minutes for t in trials if t.end == end and t.minutes is not None]


def _spread(values: list[float]) -> dict[str, float] | None:
    return {"median": percentile(values, 50), "p90": percentile(values, 90)} if values else None


def _rows(outcome: Outcome) -> list[dict[str, Any]]:
    rows = []
    for kind in KINDS:
        trials = [t for t in outcome.trials if t.kind == kind]
        if trials:
            ends = Counter(t.end for t in trials)
            rows.append(
                {
                    "candidate": kind,
                    "rollouts": len(trials),
                    "promoted": ends.pop(PROMOTED, 0),
                    "rolled_back": ends.pop(ROLLED_BACK, 0),
                    "held": ends.pop(HELD, 0),
                    "otherwise": dict(ends),
                    "minutes_to_promotion": _spread(_minutes(trials, PROMOTED)),
                    "minutes_to_rollback": _spread(_minutes(trials, ROLLED_BACK)),
                }
            )
    return rows


def _calls(outcome: Outcome) -> dict[str, Any]:
    busy = [t for t in outcome.ticks if t.judged]
    most = max((t.judged for t in busy), default=0)
    many = [t for t in busy if t.judged * 2 >= most]
    return {
        "ticks": len(outcome.ticks),
        "median": percentile([t.calls for t in busy], 50) if busy else 0,
        "most": max((t.calls for t in busy), default=0),
        "most_rollouts_judged_in_a_tick": most,
        "median_with_at_least_half_as_many": percentile([t.calls for t in many], 50) if many else 0,
    }


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything, trial by trial too."""
    settings = outcome.settings
    return {
        "date": f"{outcome.on:%Y-%m-%d}",
        "seed": settings.seed,
        "good": settings.good,
        "bad": settings.bad,
        "at_once": settings.at_once,
        "seconds": round(outcome.seconds),
        "cpu_seconds": round(outcome.cpu_seconds),
        "python": platform.python_version(),
        "rows": _rows(outcome),
        "rates": [
            {"what": r.what, "count": r.count, "of": r.of, "interval_95": r.interval, "promised_at_most": r.promised}
            for r in rates(outcome)
        ],
        "calls_per_tick": _calls(outcome),
        "events_that_came_again": outcome.refused,
        "dead_letters": outcome.dead_letters,
        "trials": [
            {
                "number": t.number, "candidate": t.kind, "rollout": t.rollout, "end": t.end, "minutes": t.minutes,
                **({"why": t.why} if _is_surprise(t) else {}),
            }
            for t in outcome.trials
        ],
    }  # fmt: skip


def _is_surprise(trial: Trial) -> bool:
    return trial.end != (PROMOTED if trial.kind == EQUAL else ROLLED_BACK)


def show(outcome: Outcome) -> str:
    """For a terminal."""
    rows = [_cells(row) for row in _rows(outcome)]
    return "\n".join([table(_HEAD, rows), "", *_lines(outcome)])


_HEAD = (
    "candidate",
    "rollouts",
    "promoted",
    "rolled back",
    "held",
    "min. to promotion (p90)",
    "min. to rollback (p90)",
)


def _cells(row: dict[str, Any]) -> list[str]:
    def spread(values: dict[str, float] | None) -> str:
        return f"{values['median']:.0f} ({values['p90']:.0f})" if values else "-"

    held = str(row["held"]) + "".join(f", {n} {end}" for end, n in row["otherwise"].items())
    counts = [str(row[key]) for key in ("candidate", "rollouts", "promoted", "rolled_back")]
    return [*counts, held, spread(row["minutes_to_promotion"]), spread(row["minutes_to_rollback"])]


def _lines(outcome: Outcome) -> list[str]:
    calls, settings = _calls(outcome), outcome.settings
    return [
        *(f"{rate.what}: {rate.sentence}." for rate in rates(outcome)),
        f"calls of a tick to Vertex AI and Cloud Monitoring: median {calls['median']:g}, most {calls['most']}, with up to "
        f"{calls['most_rollouts_judged_in_a_tick']} rollouts judged at once; median "
        f"{calls['median_with_at_least_half_as_many']:g} in ticks with at least half as many.",
        f"{calls['ticks']} ticks; {outcome.refused} events came again, {outcome.dead_letters} dead letters; "
        f"{outcome.seconds / 60:.1f} minutes ({outcome.cpu_seconds / 60:.1f} on the processor) "
        f"with seed {settings.seed}, {settings.at_once} endpoints at once.",
    ]


def document(outcome: Outcome) -> str:
    """What is kept, in Markdown."""
    settings = outcome.settings
    surprises = [t for t in outcome.trials if _is_surprise(t)]
    rows = ["| " + " | ".join(_cells(row)) + " |" for row in _rows(outcome)]
    told = [f"- {t.rollout} ({t.kind}): {t.end}. {t.why}" for t in surprises] or ["None."]
    return "\n".join(
        [
            "# The soak: whole rollouts by evidence",
            "",
            f"Run on {outcome.on:%Y-%m-%d} by `python -m bench.soak --good {settings.good} --bad {settings.bad} "
            f"--at-once {settings.at_once} --seed {settings.seed}` (`make soak`), Python {platform.python_version()}, "
            f"{outcome.seconds / 60:.0f} minutes on a shared machine, of which {outcome.cpu_seconds / 60:.0f} on the processor. "
            "The numbers rollout by rollout are in [soak.json](soak.json).",
            "",
            "| " + " | ".join(_HEAD) + " |",
            "| --- |" + " ---: |" * (len(_HEAD) - 1),
            *rows,
            "",
            *(f"- {line[0].upper()}{line[1:]}" for line in _lines(outcome)),
            "",
            "## Those that did not end as they should",
            "",
            *told,
            "",
            "## What was run",
            "",
            "Each rollout is a whole one: a version is registered (two of three by a training run's message through `register_model`, "
            "one by somebody's upload), deployed, given 10 % and 50 % and all of the traffic or taken back, and watched for "
            "20 minutes. Functions, clients, store and messages are the real ones, Vertex AI, Cloud Monitoring and Pub/Sub the local "
            "servers; every message is delivered, and one that is refused comes again a minute later, as a registration does while its "
            "upload is under way.",
            "",
            f"The policy advances by evidence ({PROMISED.harm:.0%} harm, {PROMISED.no_harm:.0%} no harm), bake 15 minutes, metrics read "
            f"4 minutes late. Checks: `{CHECKS}`.",
            "",
            f"Traffic is {RPS:g} requests per second on each endpoint. What a minute serves is drawn at random: which requests the candidate "
            "gets (by the split in force), which fail (1 %), latencies (log-normal, median 80 ms) and tokens (normal, 200 ± 60). It is put into "
            "Cloud Monitoring value by value, visible 3 minutes after its minute.",
            "",
            "Minutes count from the candidate's first share to all the traffic, or to none; the lag is in them. Requests do not go through "
            "`Predict`, and time moves by hand: latency, quotas and the autoscaler of Vertex AI are not what is tried here.",
            "",
            "The bad candidates are well beyond the margins and the good ones equal to their stables, so both rates are expected to lie below what "
            "is promised: the soak tries the wiring. What happens at the margin itself is tried on the engine alone, in "
            "`tests/unit/rollout/test_proof.py`; what is promised and why is in [evidence.md](evidence.md).",
            "",
        ]
    )
