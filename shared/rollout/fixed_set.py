"""The gate's fixed set: what has to be done before candidate and champion can be compared, and the verdict on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.policy.gate import ANSWERED, FixedSet
from shared.policy.units import format_duration
from shared.rollout.answers import Answers, BatchJob, State, agreement_key
from shared.rollout.gate import GateResult, judge_metric
from shared.rollout.record import CheckResult, Verdict


@dataclass(frozen=True)
class Task:
    """What has to be done about the answers of one version, in one look."""

    action: Literal["ask", "find", "fail", "read", "compare"]
    version: str
    id: str
    """Of the answers."""
    known: Answers | None = None
    job: BatchJob | None = None
    error: str = ""
    champion: Answers | None = None
    """For ``compare``: with whose."""


@dataclass(frozen=True)
class Side:
    """One version, as far as it is known."""

    version: str
    id: str
    """Of its answers."""
    known: Answers | None = None
    job: BatchJob | None = None
    """Its job as it is now; None where it has no name yet, or is gone."""


@dataclass(frozen=True)
class Work:
    """The answers are not complete."""

    tasks: tuple[Task, ...]
    sentence: str

    @property
    def asked(self) -> tuple[str, ...]:
        """The versions whose answers have to be paid for: a job for each."""
        return tuple(task.version for task in self.tasks if task.action == "ask")


def plan_answers(
    spec: FixedSet, candidate: Side, champion: Side | None, since: datetime, now: datetime
) -> Work | GateResult:
    """What is missing, or the verdict. ``since`` is when the rollout was queued: what failed before is asked again."""
    sides = [side for side in (candidate, champion) if side is not None]
    tasks = [task for side in sides for task in _tasks(spec, side, since, now)]
    asked = [f"v{task.version}" for task in tasks if task.action == "ask"]
    if asked:
        who = " and the champion ".join(asked) if len(asked) == 2 else asked[0]
        limit = format_duration(spec.deadline)
        return Work(
            tuple(tasks), f"Asking {who} for the answers to {spec.instances} in a batch prediction, at most {limit}"
        )
    waiting = [side for side in sides if side.known and side.known.state is State.ASKED]
    if tasks or waiting:
        names = " and ".join(f"v{side.version}" for side in waiting or sides)
        return Work(tuple(tasks), f"waits for the batch prediction of {names} on {spec.instances}")
    assert candidate.known is not None  # noqa: S101 (otherwise it would be asked)
    before = champion.known if champion else None
    if before and before.state is State.MADE and candidate.known.state is State.MADE:
        lacking = [c for c in spec.compare if agreement_key(c, before) not in candidate.known.agreed]
        if lacking:
            task = Task("compare", candidate.version, candidate.id, candidate.known, champion=before)
            return Work((task,), f"compares the answers of v{candidate.version} with v{before.version}'s")
    return judge_answers(spec, candidate.known, before)


def _tasks(spec: FixedSet, side: Side, since: datetime, now: datetime) -> Iterator[Task]:
    known, job = side.known, side.job
    if known is None or (known.state is State.FAILED and known.ended_at and known.ended_at < since):
        yield Task("ask", side.version, side.id, known)
    elif known.state is State.MADE:
        if any(metric.recipe not in known.recipes for metric in spec.metrics):
            yield Task("read", side.version, side.id, known)
    elif known.state is State.ASKED:
        if job is not None and job.has_succeeded:
            yield Task("read", side.version, side.id, known, job)
        elif job is not None and job.has_ended:
            yield Task("fail", side.version, side.id, known, job, job.error or f"it was {job.state.lower()}")
        elif now - known.asked_at >= spec.deadline:
            yield Task(
                "fail", side.version, side.id, known, job, f"it did not end within {format_duration(spec.deadline)}"
            )
        elif job is None and known.job:
            yield Task("fail", side.version, side.id, known, error="somebody has deleted it")
        elif job is None:
            yield Task("find", side.version, side.id, known)


def judge_answers(spec: FixedSet, candidate: Answers, champion: Answers | None) -> GateResult:
    """The verdict, with every number beside its limit; what failed counts as the policy says."""
    key = candidate.label + (f"/{champion.label}" if champion else "")
    lost = [
        f"the batch prediction of {who} on {spec.instances} failed: {one.error}"
        for who, one in ((f"v{candidate.version}", candidate), ("the champion", champion))
        if one is not None and one.state is State.FAILED
    ]
    before = champion if champion and champion.state is State.MADE else None
    checks = tuple(_checks(spec, candidate, before)) if candidate.state is State.MADE else ()
    failed = [check for check in checks if check.verdict is Verdict.FAIL and check.gating]
    where = f"on {candidate.answered} instances of {spec.instances}"
    if failed:
        return GateResult(Verdict.FAIL, f"{'; '.join(c.sentence for c in failed)} {where}", checks, examined=key)
    if lost and spec.failed == "reject":
        return GateResult(Verdict.FAIL, "; ".join(lost), checks, examined=key)
    said = [f"{'; '.join(c.sentence for c in checks)} {where}"] if checks else []
    said += [f"{one}; the policy lets it pass" for one in lost]
    if spec.needs_champion and champion is None:
        said.append("there is no champion to compare with")
    return GateResult(Verdict.PASS, "; ".join(said), checks, examined=key)


def _checks(spec: FixedSet, candidate: Answers, champion: Answers | None) -> Iterator[CheckResult]:
    total = candidate.answered + candidate.unanswered
    share = candidate.answered / total if total else 0.0
    is_enough = total > 0 and share >= spec.answered
    if not is_enough or spec.answered < 1:
        sign = ">=" if is_enough else "<"
        numbers = f"{candidate.answered} of {total} instances"
        sentence = f"{ANSWERED} {_percent(share)} {sign} {_percent(spec.answered)} ({numbers})"
        verdict = Verdict.PASS if is_enough else Verdict.FAIL
        yield CheckResult(ANSWERED, verdict, sentence, share, spec.answered, samples=total)
    before = {
        metric.name: champion.values[metric.recipe]
        for metric in spec.metrics
        if champion and metric.recipe in champion.values
    }
    for metric in spec.metrics:
        if metric.recipe in candidate.values:
            yield from judge_metric(metric, {metric.name: candidate.values[metric.recipe]}, before)
        else:
            yield CheckResult(metric.name, Verdict.FAIL, f"{metric.name}: no answer has a value at {metric.path}")
    for comparison in spec.compare if champion else ():
        n, agreeing = candidate.agreed[agreement_key(comparison, champion)] if champion else (0, 0)
        rate, limit = agreeing / n if n else 0.0, comparison.at_least
        good = n > 0 and rate >= limit
        numbers = f"{agreeing} of {n} answers agree with the champion's"
        sentence = f"{comparison.name} {_percent(rate)} {'>=' if good else '<'} {_percent(limit)} ({numbers})"
        verdict = Verdict.PASS if good else Verdict.FAIL
        yield CheckResult(comparison.name, verdict, sentence, rate, limit, samples=n, gating=comparison.gating)


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"
