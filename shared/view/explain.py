"""Why a rollout is where it is, and what happens next and when: sentences with the numbers of its own ledger and evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from shared.policy.schema import Patience, Policy
from shared.policy.units import format_duration
from shared.rollout.decide import Kind
from shared.rollout.record import LedgerEntry, Phase, Rollout, Verdict
from shared.rollout.stages import next_stage
from shared.rollout.stops import Stopped
from shared.rollout.windows import why_barred
from shared.view.ledger import traffic
from shared.view.looked import Looked
from shared.view.standing import age

About = Literal["where", "how", "numbers", "next", "otherwise", "you"]
TITLES: dict[About, str] = {
    "where": "Where it is",
    "how": "How it came there",
    "numbers": "What the numbers say",
    "next": "What happens next",
    "otherwise": "What else may happen",
    "you": "What you can do",
}
SHOWN = 12
"""Entries of the ledger that are told; what happened before is in the history."""
_TELLING = frozenset(
    {
        "start",
        "advance",
        "promote",
        "pause",
        "resume",
        "roll_back",
        "reassert",
        "fail",
        "reject",
        "supersede",
        "finish",
        "adopt",
    }
)


@dataclass(frozen=True)
class Sentence:
    """One sentence, and where it is from."""

    about: About
    text: str
    entry: str = ""
    """The ledger entry that says so; empty for what the evidence or the policy of this moment says."""
    at: datetime | None = None
    """When that was, or will be."""


def explain(seen: Looked, stops: Sequence[Stopped], now: datetime) -> list[Sentence]:
    """The whole answer, in the order in which a person asks."""
    return [
        Sentence("where", _where(seen, now)),
        *_how(seen),
        *_numbers(seen),
        *_next(seen, stops, now),
        *_otherwise(seen, now),
        *(Sentence("you", text) for text in _you(seen)),
    ]


def explained_json(sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    """For programs; the keys stay."""
    return [
        {"about": s.about, "sentence": s.text, "entry": s.entry or None, "at": s.at.isoformat() if s.at else None}
        for s in sentences
    ]


def _where(seen: Looked, now: datetime) -> str:
    r, policy = seen.rollout, seen.policy
    name, target = f"{r.model} v{r.version}", f"{r.target.region}/{r.target.endpoint}"
    if not r.phase.is_open:
        took = age(r.updated_at - r.created_at)
        return (
            f"{name} has ended: it is {_words(r)} on {target} since {_clock(r.updated_at, now)}, {took} after it began."
        )
    stages = policy.rollout.stages if policy else []
    held = f", paused since {_clock(r.hold.since, now)} by {r.hold.by}: {r.hold.reason}" if r.hold else ""
    if r.phase is Phase.CANARY and 0 <= r.stage < len(stages):
        since = r.stage_since or r.phase_since
        share = stages[r.stage].traffic
        return (
            f"{name} has {share} % of the traffic of {target}, beside v{r.stable_version or '?'}: stage {r.stage + 1} of "
            f"{len(stages)} since {_clock(since, now)} ({age(now - since)}){held}."
        )
    words = {
        Phase.QUEUED: f"waits for its turn on {target}",
        Phase.DEPLOYING: f"is being deployed on {target}, without traffic",
        Phase.SHADOW: f"answers copies of the requests to {target} in the shadow; no user sees its answers",
        Phase.EXPERIMENT: f"leads an experiment on {target}, whose arms are {', '.join(f'{a.name} v{a.version}' for a in r.arms)}",
        Phase.WATCHING: f"has all the traffic of {target} and is watched",
    }.get(r.phase, f"is {_words(r)} on {target}")
    return f"{name} {words}, since {_clock(r.phase_since, now)} ({age(now - r.phase_since)}){held}."


def _how(seen: Looked) -> Iterator[Sentence]:
    told = [e for e in seen.entries if e.decision in _TELLING or e.traffic_after is not None]
    for entry in told[-SHOWN:]:
        by = f" (by {entry.actor})" if "@" in entry.actor else ""
        moved = traffic(entry, seen.names)
        split = f" Traffic: {moved}." if moved and "%" not in entry.sentence.partition(":")[0] else ""
        took = _took(entry)
        text = f"{entry.at:%Y-%m-%d %H:%M:%S} UTC{by}: {entry.sentence.rstrip('.')}.{split}{took}"
        yield Sentence("how", text, entry.id, entry.at)


def _took(entry: LedgerEntry) -> str:
    seconds = int((entry.at - entry.began_at).total_seconds()) if entry.began_at else 0
    if seconds <= 0 or entry.decision != "roll_back":
        return ""
    return f" The traffic was back {format_duration(timedelta(seconds=seconds))} after the alert began."


def _numbers(seen: Looked) -> Iterator[Sentence]:
    checks = seen.checks
    if not checks.results:
        return
    when = f"until {checks.at:%H:%M} UTC" if checks.at and not checks.entry else ""
    for one in checks.results:
        word = _SAYS[one.verdict]
        voice = "" if one.gating else " It decides nothing."
        judged = f" (judged {when})" if when else ""
        yield Sentence("numbers", f"{one.sentence}: {word}{judged}.{voice}", checks.entry, checks.at)


_SAYS = {
    Verdict.PASS: "passes",
    Verdict.FAIL: "fails, which takes the version back",
    Verdict.INCONCLUSIVE: "too little evidence yet, so it neither advances nor rolls back",
    Verdict.NO_DATA: "no data, which is neither good nor bad",
    Verdict.PROVIDER_ERROR: "could not be read, which is neither good nor bad",
}


def _next(seen: Looked, stops: Sequence[Stopped], now: datetime) -> Iterator[Sentence]:
    r, policy = seen.rollout, seen.policy
    following = seen.following[:1].upper() + seen.following[1:]
    yield Sentence("next", f"{following}.")
    if not r.phase.is_open or policy is None or r.hold or r.stop:
        return
    due = due_at(seen)
    if due is not None:
        if due > now:
            yield Sentence("next", f"Not before {_clock(due, now)}, in {age(due - now)}{_condition(seen)}.", at=due)
        elif seen.decision and not seen.decision.is_due:
            yield Sentence("next", f"Its time was over at {_clock(due, now)}; it waits for the numbers alone.", at=due)
    has_begun = r.phase is not Phase.QUEUED
    barred = why_barred(policy.rollout, stops, now, has_begun=has_begun) if r.phase is not Phase.WATCHING else ""
    if barred:
        yield Sentence("next", f"But nothing may go forward now: {barred}.")


def due_at(seen: Looked) -> datetime | None:
    """When the present stage or watch can end at the earliest, as far as that is known."""
    r, policy = seen.rollout, seen.policy
    if policy is None or r.stage_since is None:
        return None
    if r.phase is Phase.WATCHING:
        return r.phase_since + policy.rollout.standby.keep
    # Metrics are judged late, so the last minute of the bake time is seen only after the lag.
    lag = policy.rollout.metrics.lag if any(c.gating for c in policy.rollout.checks) else timedelta(0)
    if r.phase is Phase.SHADOW and policy.rollout.shadow:
        return r.stage_since + policy.rollout.shadow.bake + policy.rollout.metrics.lag
    if r.phase is Phase.CANARY and 0 <= r.stage < len(policy.rollout.stages):
        return r.stage_since + policy.rollout.stages[r.stage].bake + lag
    return None


def _condition(seen: Looked) -> str:
    r, policy = seen.rollout, seen.policy
    if policy is None:
        return ""
    if r.phase is Phase.WATCHING:
        return ", when the watch is over and no check speaks against it"
    proof = "with evidence of no harm" if policy.rollout.advance == "evidence" else "without harm"
    said = f", when the stage has been judged {proof}"
    lag = policy.rollout.metrics.lag
    return f"{said} (metrics are judged {format_duration(lag)} late)" if lag and policy.rollout.checks else said


def _otherwise(seen: Looked, now: datetime) -> Iterator[Sentence]:
    r, policy = seen.rollout, seen.policy
    if policy is None or not r.phase.is_open or r.stop:
        return
    if r.phase in (Phase.CANARY, Phase.WATCHING):
        heir = f"v{r.stable_version}" if r.stable_version else "nobody else: there is no other version"
        yield Sentence(
            "otherwise",
            f"A check that fails, or an alert on this version, gives its traffic to {heir} at once; no pause, window or freeze "
            "stops that.",
        )
    if r.phase in (Phase.SHADOW, Phase.CANARY) and r.stage_since and not r.hold:
        spec = policy.rollout
        ends = max(r.stage_since, r.resumed_at or r.stage_since) + spec.deadline.after
        yield Sentence(
            "otherwise", f"If the stage has not ended by {_clock(ends, now)}, {_then(spec.deadline)}.", at=ends
        )
        yield Sentence(
            "otherwise",
            f"Without data for {format_duration(spec.no_data.after)}, {_then(spec.no_data)}; with metrics that cannot be read for "
            f"{format_duration(spec.provider_error.after)}, {_then(spec.provider_error)}.",
        )
    if r.phase in (Phase.DEPLOYING, Phase.CANARY, Phase.SHADOW):
        yield from _approval(r, policy)


def _approval(r: Rollout, policy: Policy) -> Iterator[Sentence]:
    stage = policy.rollout.stages[next_stage(r, len(policy.rollout.stages))]
    asked = r.consent
    if stage.approval is None or (asked and asked.stage > r.stage and asked.given_by):
        return
    people = " or ".join(stage.approval.by) or "an operator"
    silence = {"pause": "it is paused", "roll_back": "it is rolled back", "advance": "it goes on by itself"}[
        stage.approval.then
    ]
    within = format_duration(stage.approval.within)
    yield Sentence(
        "otherwise",
        f"{stage.traffic} % needs the approval of {people}; if nobody gives it within {within} of being asked, {silence}.",
    )


def _then(rule: Patience) -> str:
    return {"hold": "it goes on waiting", "pause": "it is paused", "roll_back": "it is rolled back"}[rule.then]


def _you(seen: Looked) -> Iterator[str]:
    r = seen.rollout
    if not r.phase.is_open:
        yield f"`rollouts history {r.id}` has every decision; `rollouts models --model {r.model}` what there is now."
        if r.phase in (Phase.FAILED, Phase.REJECTED):
            yield f"`rollouts retry {r.id}` begins it again, under the present policy."
        elif r.phase is Phase.ROLLED_BACK:
            yield f"`rollouts retry {r.id} --again --reason WHY` gives this version a second trial, should it have been taken back wrongly."
        return
    if r.stop:
        return
    can = [f"`rollouts abort {r.id}` ends it"]
    if r.hold:
        can.insert(0, f"`rollouts resume {r.id}` lets it go on")
    else:
        can.insert(0, f"`rollouts pause {r.id}` lets it stay where it is")
    if needs_approval(r):
        can.insert(0, f"`rollouts approve {r.id}` lets it go on")
    if r.phase in (Phase.SHADOW, Phase.CANARY) and not (seen.decision and seen.decision.kind is Kind.ROLL_BACK):
        can.append(f"`rollouts promote {r.id}` takes it to the next stage without waiting")
    yield "; ".join(can) + "."


def needs_approval(r: Rollout) -> bool:
    """Whether a person was asked and has not answered."""
    return bool(r.consent and not r.consent.given_by and r.consent.stage > r.stage and r.phase.is_trial)


def _words(r: Rollout) -> str:
    return r.phase.value.replace("_", " ")


def _clock(at: datetime, now: datetime) -> str:
    """The time, with its day if that is not today's."""
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"
