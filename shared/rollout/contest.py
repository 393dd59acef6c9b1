"""Judging an experiment: who is worse than another arm, who is better than all, who does harm. Pure.

The objective is a contest of all pairs (``statistics.arms``); half of the policy's confidence is for dropping, half for winning. The checks
of the policy guard: an arm that fails one beside the control is dropped whatever the contest says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.policy.experiment import Experiment, Objective
from shared.policy.rollout import ERROR_RATE
from shared.policy.schema import Policy
from shared.policy.units import format_duration
from shared.rollout.checks import judge_check
from shared.rollout.histogram import count_below, count_from
from shared.rollout.observed import ArmMinute
from shared.rollout.record import Arm, CheckResult, Rollout, Verdict
from shared.rollout.statistics.arms import Contest, begin_contest, dropped, e_values, update_contest, winning_bound

if TYPE_CHECKING:
    from shared.rollout.evidence import Evidence

CONTROL = "control"


@dataclass(frozen=True)
class Contesting:
    """What a contest needs to know of the trial."""

    objective: Objective
    arms: tuple[str, ...]
    """Deployed-model ids, the control's first."""


def contesting(policy: Policy, rollout: Rollout) -> Contesting | None:
    """The contest of a rollout, where it is an experiment."""
    spec = policy.rollout.experiment
    if spec is None or not rollout.arms:
        return None
    return Contesting(spec.objective, (rollout.stable_id, *(arm.deployed_id for arm in rollout.arms)))


def contest_minute(contest: Contest | None, of: Contesting, arms: Mapping[str, ArmMinute]) -> Contest:
    """The state after one more minute; arms that served nothing say nothing."""
    served = {arm: counted(of.objective, arms[arm]) for arm in of.arms if arm in arms}
    return update_contest(contest or begin_contest(of.arms), served)


def counted(objective: Objective, arm: ArmMinute) -> tuple[int, int]:
    """(how many, how many of them not good)."""
    if objective.metric == ERROR_RATE:
        return arm.requests, arm.errors
    values = arm.values.get(objective.metric)
    if values is None or not values.edges:
        return 0, 0
    if objective.good_from is not None:
        return values.total, count_below(values, objective.good_from)
    assert objective.good_to is not None  # noqa: S101 (the policy has one of the two)
    return values.total, count_from(values, objective.good_to, itself=False)


@dataclass(frozen=True)
class Outcome:
    """What is known of an experiment at one look."""

    lost: Arm | None = None
    """Who is to be dropped now."""
    won: Arm | None = None
    control_won: bool = False
    sentence: str = ""
    checks: tuple[CheckResult, ...] = ()


def judge_experiment(policy: Policy, rollout: Rollout, evidence: Evidence | None, now: datetime) -> Outcome:
    """The first thing that is to be done, harm before anything else."""
    spec = policy.rollout.experiment
    assert spec is not None  # noqa: S101 (the caller has looked)
    inside = [arm for arm in rollout.arms if not arm.out]
    if evidence is None or evidence.stage_since != rollout.stage_since:
        return Outcome(sentence="nothing is measured yet")
    harmed = _harmed(policy, rollout, evidence, inside)
    if harmed:
        return harmed
    scores = _scores(spec, rollout, evidence)
    if not inside:
        return Outcome(control_won=True, sentence=f"every arm was dropped ({_said(scores)})")
    if evidence.contest is None:
        return Outcome(sentence="nothing is measured yet")
    pairs = e_values(evidence.contest)
    half = spec.confidence / 2
    worse = dropped(pairs, half)
    for arm in inside:
        if arm.deployed_id in worse:
            best = max((row.get(arm.deployed_id, 0.0), i) for i, row in pairs.items() if i != arm.deployed_id)
            by = f"evidence {_short(best[0])} >= {len(pairs) * winning_bound(len(pairs), half):.4g}"
            why = f"{_name(rollout, arm.deployed_id)} is worse than {_name(rollout, best[1])}: {by} ({_said(scores)})"
            return Outcome(lost=arm, sentence=why, checks=scores)
    return _standing(spec, rollout, pairs, inside, scores, now)


def _standing(
    spec: Experiment,
    rollout: Rollout,
    pairs: Mapping[str, Mapping[str, float]],
    inside: Sequence[Arm],
    scores: tuple[CheckResult, ...],
    now: datetime,
) -> Outcome:
    """Who is better than all that are still there; the others are worse than somebody, with the other half of the confidence."""
    ids = [rollout.stable_id, *(arm.deployed_id for arm in inside)]
    bound = winning_bound(len(pairs), spec.confidence / 2)
    least = {i: min(pairs[i][j] for j in ids if j != i) for i in ids}
    first = max(ids, key=lambda i: least[i])
    said = f"{_name(rollout, first)} leads, evidence {_short(least[first])} of {bound:.4g} ({_said(scores)})"
    since = rollout.stage_since or now
    if now - since < spec.bake or least[first] < bound:
        return Outcome(sentence=said, checks=scores)
    why = f"{_name(rollout, first)} is the best: evidence {_short(least[first])} >= {bound:.4g} ({_said(scores)})"
    won = next((arm for arm in inside if arm.deployed_id == first), None)
    return Outcome(won=won, control_won=won is None, sentence=why, checks=scores)


def _harmed(policy: Policy, rollout: Rollout, evidence: Evidence, inside: Sequence[Arm]) -> Outcome | None:
    """An arm that fails a check of the policy beside the control."""
    for arm in inside:
        results = [
            judge_check(check, evidence.arm(arm.deployed_id), evidence.arm(rollout.stable_id))
            for check in policy.rollout.checks
        ]
        failed = [c for c in results if c.gating and c.verdict is Verdict.FAIL]
        if failed:
            why = f"{_name(rollout, arm.deployed_id)}: {'; '.join(c.sentence for c in failed)}"
            return Outcome(lost=arm, sentence=why, checks=tuple(results))
    return None


def _scores(spec: Experiment, rollout: Rollout, evidence: Evidence) -> tuple[CheckResult, ...]:
    """How often what every arm answers is good, lately."""
    found = []
    for deployed_id in (rollout.stable_id, *(arm.deployed_id for arm in rollout.arms)):
        n, bad = counted(spec.objective, evidence.arm(deployed_id))
        if n:
            good = (n - bad) / n
            sentence = f"{_name(rollout, deployed_id)} {good * 100:.3g} % of {n}"
            found.append(
                CheckResult(spec.objective.metric, Verdict.INCONCLUSIVE, sentence, good, samples=n, gating=False)
            )
    return tuple(found)


def _said(scores: Sequence[CheckResult]) -> str:
    return f"good: {', '.join(c.sentence for c in scores)}" if scores else "nothing was measured"


def _name(rollout: Rollout, deployed_id: str) -> str:
    if deployed_id == rollout.stable_id:
        return f"the {CONTROL} v{rollout.stable_version}"
    found = next((arm for arm in rollout.arms if arm.deployed_id == deployed_id), None)
    return f"{found.name} v{found.version}" if found else f"deployed model {deployed_id}"


def _short(e: float) -> str:
    return f"{e:.3g}" if e < 1e6 else "more than a million"


def time_is_over(spec: Experiment, rollout: Rollout, now: datetime) -> str:
    """Why nothing more is waited for; empty while there is time."""
    since = rollout.stage_since
    if since is None or now - since < spec.within:
        return ""
    return f"no arm was shown to be the best within {format_duration(spec.within)}"
