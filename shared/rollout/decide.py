"""From verdicts to a decision: a pure function of policy, rollout, evidence and now.

Ticks and single steps call the same function, so a hint can never make happen what the evidence does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.policy.schema import Check, Patience, Policy
from shared.policy.shadow import Shadow
from shared.policy.units import format_duration
from shared.rollout.agreement import agreement_key, comparisons_of, judge_agreement, shadow_checks
from shared.rollout.checks import judge_check
from shared.rollout.contest import judge_experiment, time_is_over
from shared.rollout.evidence import Evidence
from shared.rollout.observed import ArmMinute
from shared.rollout.proof import SPLIT_ALPHA, split_evidence
from shared.rollout.proven import judge_proof
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
    deployed: str = ""
    """Which arm of an experiment it is about; empty for all that is on trial."""

    @property
    def is_due(self) -> bool:
        """Whether it asks for a step now."""
        return self.kind is not Kind.HOLD


def judge(policy: Policy, rollout: Rollout, evidence: Evidence | None) -> tuple[CheckResult, ...]:
    """Every check of the policy on what was gathered; what a metric said long ago is no data of today's."""
    if evidence is None or evidence.stage_since != rollout.stage_since:
        evidence = None
    is_shadow = rollout.phase is Phase.SHADOW
    control = rollout.stable_id if rollout.phase in (Phase.SHADOW, Phase.CANARY) else ""
    candidate = evidence.arm(rollout.deployed_id) if evidence else ArmMinute()
    stable = evidence.arm(control) if evidence and control else None
    results = []
    for check in shadow_checks(policy) if is_shadow else policy.rollout.checks:
        if evidence is None:
            results.append(
                CheckResult(check.metric, Verdict.NO_DATA, f"{check.metric}: no data yet", gating=check.gating)
            )
        elif evidence.error_since:
            sentence = f"{check.metric}: metrics cannot be read ({evidence.error})"
            results.append(CheckResult(check.metric, Verdict.PROVIDER_ERROR, sentence, gating=check.gating))
        else:
            results.append(_if_recent(policy, evidence, judge_check(check, candidate, stable)))
    if is_shadow and policy.rollout.shadow:
        return (*results, *_judge_answers(policy, policy.rollout.shadow, rollout, evidence))
    if policy.rollout.advance == "evidence" and not is_shadow and evidence is not None and not evidence.error_since:
        results = [*judge_proof(policy.rollout, rollout.stage, evidence.proof, tuple(results))]
    if rollout.phase is not Phase.CANARY:
        return tuple(results)
    bake = policy.rollout.stages[rollout.stage].bake
    checks = policy.rollout.checks
    return tuple(_if_ripe(check, bake, result) for check, result in zip(checks, results, strict=True))


def _if_ripe(check: Check, bake: timedelta, result: CheckResult) -> CheckResult:
    """A stage that is over before its truths are known does not wait for them; harm that they show is harm in any stage."""
    if check.labels is None or check.labels.ripe_after < bake or result.verdict in (Verdict.PASS, Verdict.FAIL):
        return result
    later = f"{result.sentence}; truths need {format_duration(check.labels.ripe_after)}, so this stage does not wait"
    return replace(result, sentence=later, gating=False)


def _judge_answers(
    policy: Policy, shadow: Shadow, rollout: Rollout, evidence: Evidence | None
) -> Iterator[CheckResult]:
    """How the answers in the shadow agree with the stable's."""
    for comparison in comparisons_of(shadow):
        seen = evidence.arm(agreement_key(rollout.deployed_id, comparison.name)) if evidence else ArmMinute()
        result = judge_agreement(comparison, seen)
        yield _if_recent(policy, evidence, result) if evidence else result


def _if_recent(policy: Policy, evidence: Evidence, result: CheckResult) -> CheckResult:
    """Harm stays harm, but what is older than a window neither advances nor waits for more of itself."""
    heard = evidence.heard_of(result.metric)
    silent = (evidence.judged_until or heard) - heard
    if result.verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE) or silent <= policy.rollout.metrics.window:
        return result
    sentence = f"{result.metric}: no data since {heard:%H:%M} UTC; until then {result.sentence}"
    return replace(result, verdict=Verdict.NO_DATA, sentence=sentence)


def decide(policy: Policy, rollout: Rollout, evidence: Evidence | None, now: datetime) -> Decision:
    """What to do about a rollout that has traffic; for the other phases there is nothing to judge.

    The order is the order of importance: harm, then a person's word (a pause came after the go-ahead that it stands beside, or it
    would have been lifted by it), then the end of the stage, then patience.
    """
    if rollout.phase is Phase.EXPERIMENT and rollout.stage_since is not None:
        return _decide_experiment(policy, rollout, evidence, now)
    if rollout.phase not in (Phase.SHADOW, Phase.CANARY, Phase.WATCHING) or rollout.stage_since is None:
        return Decision(Kind.HOLD, rollout.sentence)
    checks = judge(policy, rollout, evidence)
    if rollout.stop:
        return Decision(Kind.ROLL_BACK, f"stopped by {rollout.stop.by}: {rollout.stop.reason}", checks)
    gating = [c for c in checks if c.gating]
    failed = [c for c in gating if c.verdict is Verdict.FAIL]
    if failed:
        return Decision(Kind.ROLL_BACK, "; ".join(c.sentence for c in failed), checks)
    if rollout.hold:
        return Decision(Kind.HOLD, f"paused by {rollout.hold.by}: {rollout.hold.reason}", checks)
    if rollout.phase is Phase.WATCHING:
        return _decide_watch(policy, rollout, evidence, checks, now)
    if rollout.approved:
        return _forward(policy, rollout, "somebody decided not to wait", checks)
    return _decide_stage(policy, rollout, evidence, checks, now)


def _decide_experiment(policy: Policy, rollout: Rollout, evidence: Evidence | None, now: datetime) -> Decision:
    """In the same order: a person's end, harm and losers, a pause, the winner, patience."""
    spec = policy.rollout.experiment
    assert spec is not None  # noqa: S101 (the policy that it started with has one)
    if rollout.stop:
        return Decision(Kind.ROLL_BACK, f"stopped by {rollout.stop.by}: {rollout.stop.reason}")
    found = judge_experiment(policy, rollout, evidence, now)
    if found.lost:
        return Decision(Kind.ROLL_BACK, found.sentence, found.checks, found.lost.deployed_id)
    if found.control_won:
        return Decision(Kind.ROLL_BACK, found.sentence, found.checks)
    if rollout.hold:
        return Decision(Kind.HOLD, f"paused by {rollout.hold.by}: {rollout.hold.reason}", found.checks)
    if found.won and (spec.winner == "promote" or rollout.approved):
        return Decision(Kind.ADVANCE, found.sentence, found.checks, found.won.deployed_id)
    if found.won:
        return Decision(Kind.PAUSE, f"{found.sentence}; `rollouts promote` lets it go on", found.checks)
    over = time_is_over(spec, rollout, now)
    if over:
        kind = Kind.ROLL_BACK if spec.none == "control" else Kind.PAUSE
        return Decision(kind, f"{over}: {found.sentence}", found.checks)
    return Decision(Kind.HOLD, found.sentence, found.checks)


def _decide_watch(
    policy: Policy, rollout: Rollout, evidence: Evidence | None, checks: tuple[CheckResult, ...], now: datetime
) -> Decision:
    """The watch ends when its time is over and nothing speaks against it; silence does not speak for it."""
    ends = rollout.phase_since + policy.rollout.standby.keep
    if now < ends:
        return Decision(Kind.HOLD, f"watching until {ends:%Y-%m-%d %H:%M} UTC", checks)
    verdict = worst([c.verdict for c in checks if c.gating])
    lasted = f"the watch of {format_duration(policy.rollout.standby.keep)}"
    if verdict is Verdict.PASS:
        return Decision(Kind.FINISH, f"{lasted} passed without harm", checks)
    waiting = next(c.sentence for c in checks if c.gating and c.verdict is verdict)
    return _bear(policy, rollout, evidence, checks, ends, now) or Decision(
        Kind.HOLD, f"{lasted} is over and cannot be judged: {waiting}", checks
    )


def _decide_stage(
    policy: Policy, rollout: Rollout, evidence: Evidence | None, checks: tuple[CheckResult, ...], now: datetime
) -> Decision:
    since = rollout.stage_since
    assert since is not None  # noqa: S101 (decide has looked)
    bake, where = _stage(policy, rollout)
    until = evidence.judged_until if evidence and evidence.stage_since == since and evidence.judged_until else since
    unread = evidence.unread if evidence and evidence.stage_since == since else timedelta(0)
    judged = (until if any(c.gating for c in checks) else now) - since - unread
    verdict = worst([c.verdict for c in checks if c.gating])
    if verdict is Verdict.PASS and judged >= bake:
        wrong = _wrong_split(policy, rollout, evidence)
        if wrong:
            return Decision(Kind.HOLD, wrong, checks)
        passed = "; ".join(c.sentence for c in checks if c.gating) or "no checks"
        return _forward(policy, rollout, f"{format_duration(bake)} judged without harm: {passed}", checks)
    borne = _bear(policy, rollout, evidence, checks, since, now)
    if borne:
        return borne
    waiting = next(
        (c.sentence for c in checks if c.gating and c.verdict is verdict and verdict is not Verdict.PASS), ""
    )
    progress = f"{format_duration(max(judged, timedelta(0)))} of {format_duration(bake)} judged {where}"
    return Decision(Kind.HOLD, f"{progress}; {waiting}" if waiting else progress, checks)


def _stage(policy: Policy, rollout: Rollout) -> tuple[timedelta, str]:
    """How long the present stage has to be judged, and how it is called."""
    if rollout.phase is Phase.SHADOW and policy.rollout.shadow:
        return policy.rollout.shadow.bake, "in the shadow"
    stage = policy.rollout.stages[rollout.stage]
    return stage.bake, f"at {stage.traffic} %"


def _wrong_split(policy: Policy, rollout: Rollout, evidence: Evidence | None) -> str:
    """Requests that do not follow the split are nobody's regression, but what follows from it is not what was measured: held."""
    if rollout.phase is Phase.SHADOW:
        return ""
    share = policy.rollout.stages[rollout.stage].traffic
    e = split_evidence(evidence.proof, share) if evidence else 1.0
    if e < 1 / SPLIT_ALPHA:
        return ""
    return f"held: the requests do not follow the split of {share} % (evidence {e:.3g} >= {1 / SPLIT_ALPHA:g})"


def _forward(policy: Policy, rollout: Rollout, why: str, checks: tuple[CheckResult, ...]) -> Decision:
    if rollout.phase is Phase.SHADOW:
        return Decision(Kind.ADVANCE, why, checks)
    following = policy.rollout.stages[min(rollout.stage + 1, len(policy.rollout.stages) - 1)]
    return Decision(Kind.PROMOTE if following.traffic == 100 else Kind.ADVANCE, why, checks)


def _bear(
    policy: Policy,
    rollout: Rollout,
    evidence: Evidence | None,
    checks: tuple[CheckResult, ...],
    since: datetime,
    now: datetime,
) -> Decision | None:
    """What follows from a patience that has run out, if one has; one that only holds does not hide another that does more."""
    lost = list(_lost_patience(policy, rollout, evidence, checks, max(since, rollout.resumed_at or since), now))
    if not lost:
        return None
    why, rule = next((one for one in lost if one[1].then != "hold"), lost[0])
    kind = {"hold": Kind.HOLD, "pause": Kind.PAUSE, "roll_back": Kind.ROLL_BACK}[rule.then]
    return Decision(kind, why, checks)


def _lost_patience(
    policy: Policy,
    rollout: Rollout,
    evidence: Evidence | None,
    checks: tuple[CheckResult, ...],
    since: datetime,
    now: datetime,
) -> Iterator[tuple[str, Patience]]:
    """Which of the three patiences have run out, and the sentence that says so."""
    spec = policy.rollout
    if evidence and evidence.stage_since != rollout.stage_since:
        evidence = None
    gating = [c for c in checks if c.gating]
    if evidence and evidence.error_since and any(c.verdict is Verdict.PROVIDER_ERROR for c in gating):
        waited = now - max(since, evidence.error_since)
        if waited >= spec.provider_error.after:
            why = f"metrics could not be read for {format_duration(waited)}: {evidence.error}"
            yield why, spec.provider_error
    for silent in (c.metric for c in gating if c.verdict is Verdict.NO_DATA):
        heard = max(since, evidence.heard_of(silent)) if evidence else since
        if now - heard - spec.metrics.lag - _ripening(policy, silent) >= spec.no_data.after:
            yield f"no {silent} from the candidate since {heard:%H:%M} UTC", spec.no_data
    if now - since >= spec.deadline.after:
        yield f"the stage has not ended within {format_duration(spec.deadline.after)}", spec.deadline


def _ripening(policy: Policy, metric: str) -> timedelta:
    """How long truths of this metric are awaited before their absence says something."""
    ripe = [check.labels.ripe_after for check in policy.rollout.checks if check.metric == metric and check.labels]
    return max(ripe, default=timedelta(0))
