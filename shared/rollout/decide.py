"""From verdicts to a decision: a pure function of policy, rollout, evidence and now.

Ticks and single steps call the same function, so a hint can never make happen what the evidence does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.policy.schema import Patience, Policy
from shared.policy.units import format_duration
from shared.rollout.checks import judge_check
from shared.rollout.evidence import Evidence
from shared.rollout.record import CheckResult, Phase, Rollout, Verdict, worst


class Kind(StrEnum):
    ADVANCE = "advance"
    PROMOTE = "promote"
    HOLD = "hold"
    PAUSE = "pause"
    ROLL_BACK = "roll_back"
    FINISH = "finish"
    """The watch is over."""


@dataclass(frozen=True)
class Decision:
    kind: Kind
    sentence: str
    checks: tuple[CheckResult, ...] = ()

    @property
    def is_due(self) -> bool:
        """Whether it asks for a step now."""
        return self.kind is not Kind.HOLD


def judge(policy: Policy, rollout: Rollout, evidence: Evidence | None) -> tuple[CheckResult, ...]:
    """Every check of the policy on what was gathered."""
    if evidence is None or evidence.stage_since != rollout.stage_since:
        evidence = None
    control = rollout.stable_id if rollout.phase is Phase.CANARY else ""
    results = []
    for check in policy.rollout.checks:
        if evidence is None:
            results.append(
                CheckResult(check.metric, Verdict.NO_DATA, f"{check.metric}: no data yet", gating=check.gating)
            )
        elif evidence.error_since:
            sentence = f"{check.metric}: metrics cannot be read ({evidence.error})"
            results.append(CheckResult(check.metric, Verdict.PROVIDER_ERROR, sentence, gating=check.gating))
        else:
            stable = evidence.arm(control) if control else None
            results.append(judge_check(check, evidence.arm(rollout.deployed_id), stable))
    return tuple(results)


def decide(policy: Policy, rollout: Rollout, evidence: Evidence | None, now: datetime) -> Decision:
    """What to do about a rollout that has traffic; for the other phases there is nothing to judge.

    The order is the order of importance: harm, then a person's word, then the end of the stage, then patience.
    """
    if rollout.phase not in (Phase.CANARY, Phase.WATCHING) or rollout.stage_since is None:
        return Decision(Kind.HOLD, rollout.sentence)
    checks = judge(policy, rollout, evidence)
    if rollout.stop:
        return Decision(Kind.ROLL_BACK, f"stopped by {rollout.stop.by}: {rollout.stop.reason}", checks)
    gating = [c for c in checks if c.gating]
    failed = [c for c in gating if c.verdict is Verdict.FAIL]
    if failed:
        return Decision(Kind.ROLL_BACK, "; ".join(c.sentence for c in failed), checks)
    if rollout.phase is Phase.WATCHING:
        return _decide_watch(policy, rollout, checks, now)
    if rollout.approved:
        return _forward(policy, rollout, "a person said go on", checks)
    if rollout.hold:
        return Decision(Kind.HOLD, f"paused by {rollout.hold.by}: {rollout.hold.reason}", checks)
    return _decide_stage(policy, rollout, evidence, checks, now)


def _decide_watch(policy: Policy, rollout: Rollout, checks: tuple[CheckResult, ...], now: datetime) -> Decision:
    ends = rollout.phase_since + policy.rollout.standby.keep
    if now >= ends:
        return Decision(
            Kind.FINISH, f"the watch of {format_duration(policy.rollout.standby.keep)} ended without harm", checks
        )
    return Decision(Kind.HOLD, f"watching until {ends:%Y-%m-%d %H:%M} UTC", checks)


def _decide_stage(
    policy: Policy, rollout: Rollout, evidence: Evidence | None, checks: tuple[CheckResult, ...], now: datetime
) -> Decision:
    since = rollout.stage_since
    assert since is not None  # noqa: S101 (decide has looked)
    stage = policy.rollout.stages[rollout.stage]
    until = evidence.judged_until if evidence and evidence.stage_since == since and evidence.judged_until else since
    judged = (until if policy.rollout.checks else now) - since
    verdict = worst([c.verdict for c in checks if c.gating])
    if verdict is Verdict.PASS and judged >= stage.bake:
        passed = "; ".join(c.sentence for c in checks if c.gating) or "no checks"
        return _forward(policy, rollout, f"{format_duration(stage.bake)} judged without harm: {passed}", checks)
    patience = _lost_patience(policy, rollout, evidence, verdict, now)
    if patience:
        why, rule = patience
        kind = {"hold": Kind.HOLD, "pause": Kind.PAUSE, "roll_back": Kind.ROLL_BACK}[rule.then]
        return Decision(kind, why, checks)
    waiting = next(
        (c.sentence for c in checks if c.gating and c.verdict is verdict and verdict is not Verdict.PASS), ""
    )
    progress = (
        f"{format_duration(max(judged, timedelta(0)))} of {format_duration(stage.bake)} judged at {stage.traffic} %"
    )
    return Decision(Kind.HOLD, f"{progress}; {waiting}" if waiting else progress, checks)


def _forward(policy: Policy, rollout: Rollout, why: str, checks: tuple[CheckResult, ...]) -> Decision:
    following = policy.rollout.stages[min(rollout.stage + 1, len(policy.rollout.stages) - 1)]
    return Decision(Kind.PROMOTE if following.traffic == 100 else Kind.ADVANCE, why, checks)


def _lost_patience(
    policy: Policy, rollout: Rollout, evidence: Evidence | None, verdict: Verdict, now: datetime
) -> tuple[str, Patience] | None:
    """Which of the three patiences has run out, and the sentence that says so."""
    spec, since = policy.rollout, rollout.stage_since or now
    if (
        evidence
        and evidence.stage_since == since
        and evidence.error_since
        and now - evidence.error_since >= spec.provider_error.after
    ):
        waited = format_duration(now - evidence.error_since)
        return f"metrics could not be read for {waited}: {evidence.error}", spec.provider_error
    if verdict is Verdict.NO_DATA:
        heard = max(since, evidence.last_data or since) if evidence and evidence.stage_since == since else since
        if now - heard - spec.metrics.lag >= spec.no_data.after:
            return f"no data from the candidate since {heard:%H:%M} UTC", spec.no_data
    if now - since >= spec.deadline.after:
        return f"the stage has not ended within {format_duration(spec.deadline.after)}", spec.deadline
    return None
