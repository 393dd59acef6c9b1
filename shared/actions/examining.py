"""The gate's fixed set: asking for answers in batch prediction jobs, reading them, and ending jobs that nobody waits for.

A job is asked for once per version and set: the intent is a document that only one can create, and the job carries its label, by which it is
found again when the answer of the call was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from shared import log
from shared.actions.aliasing import recent_rollouts
from shared.actions.policies import home_of
from shared.actions.record import publish_due, record_entry
from shared.actions.turn import Turn
from shared.errors import ConflictError, NotFoundError, PermanentError, RefusedError, RolloutsError
from shared.policy.gate import FixedSet
from shared.policy.schema import Policy
from shared.rollout import answers as made
from shared.rollout.aliases import CHAMPION, desired_aliases
from shared.rollout.answers import Answer, Answers, BatchJob, State
from shared.rollout.fixed_set import Side, Task, Work, plan_answers
from shared.rollout.gate import GateResult
from shared.rollout.names import label_value
from shared.rollout.record import LedgerEntry, Phase, Rollout
from shared.rollout.steps import VISIBLE_WITHIN, Examine, Examined
from shared.store.answers import StoredAnswers
from shared.store.store import StoredRollout
from shared.wiring import World

MOST_BYTES = 16 * 2**20
"""Of the answers of one version: they are read whole, and two versions' at once (275 MB of memory for 20 MiB each) where they are compared."""


def look_at_answers(
    world: World, policy: Policy, spec: FixedSet, rollout: Rollout, rollouts: Sequence[Rollout]
) -> Work | GateResult:
    """What is missing of the answers of candidate and champion, or the verdict; nothing is started here."""
    digest = made.set_digest(spec, _generations(world, spec))
    champion = desired_aliases(rollouts, len(policy.targets)).get(CHAMPION) if spec.needs_champion else None
    versions = [rollout.version, *([champion] if champion and champion != rollout.version else [])]
    ids = {version: made.answers_id(rollout.model, version, digest) for version in versions}
    known = world.store.answers.get(list(ids.values()))
    sides = []
    for version in versions:
        stored = known.get(ids[version])
        answers = stored.answers if stored else None
        job = world.batch_jobs.get(answers.job) if answers and answers.job and answers.state is State.ASKED else None
        sides.append(Side(version, ids[version], answers, job))
    return plan_answers(spec, sides[0], sides[1] if len(sides) > 1 else None, rollout.phase_since, world.now())


def _generations(world: World, spec: FixedSet) -> list[tuple[str, int]]:
    """The objects of the set as they are now; a table has no such number."""
    if not spec.instances.startswith("gs://"):
        return []
    bucket, _, pattern = spec.instances.removeprefix("gs://").partition("/")
    try:
        found = list(world.buckets.list(bucket, pattern.partition("*")[0]))
    except (RefusedError, NotFoundError) as exc:
        log.warning(f"{spec.instances} counts as unchanged, since its objects cannot be listed: {exc}")
        return []
    return [(one.name, one.generation) for one in found if fnmatchcase(one.name, pattern)]


def examine(turn: Turn, step: Examine) -> StoredRollout:
    """Everything that is missing, as far as it can be done now."""
    spec = turn.situation.policy.gate.fixed_set
    assert spec is not None  # noqa: S101 (the plan has looked)
    stored = turn.stored
    if any(task.action == "ask" for task in step.tasks):
        stored = turn.record(turn.rollout.moved(turn.world.now()), turn.telling("operate", step.sentence, notice=False))
    for task in step.tasks:
        _TASKS[task.action](turn, spec, task, _as_it_was(turn.world, task))
    if any(task.action in ("read", "compare", "fail") for task in step.tasks):
        publish_due(turn.world, [turn.rollout.id])
    return stored


def examined(turn: Turn, step: Examined) -> StoredRollout:
    """Passed: said once, with the numbers."""
    after = turn.rollout.moved(turn.world.now(), examined=step.key)
    return turn.record(after, turn.telling("note", step.sentence, checks=step.checks))


def _as_it_was(world: World, task: Task) -> StoredAnswers | None:
    stored = world.store.answers.get([task.id]).get(task.id)
    if (stored.answers if stored else None) != task.known:
        raise ConflictError(f"the answers of {task.id} have changed meanwhile; it is decided again")
    return stored


def _ask(turn: Turn, spec: FixedSet, task: Task, before: StoredAnswers | None) -> None:
    world, rollout = turn.world, turn.rollout
    project, region = home_of(world, turn.situation.policy)
    asked = Answers(
        id=task.id,
        model=rollout.model,
        version=task.version,
        project=project,
        region=region,
        instances=spec.instances,
        asked_at=world.now(),
        attempt=before.answers.attempt + 1 if before else 1,
    )
    book = world.store.answers
    _start(turn, spec, book.replace(before, asked) if before else book.create(asked))


def _start(turn: Turn, spec: FixedSet, stored: StoredAnswers) -> None:
    world = turn.world
    try:
        name = world.batch_jobs.create(stored.answers, spec, turn.situation.policy.batch_machine)
    except (RefusedError, NotFoundError) as exc:
        _fail(world, stored, f"Vertex AI refused it: {exc}")
        return
    world.store.answers.replace(stored, replace(stored.answers, job=name))


def _find(turn: Turn, spec: FixedSet, task: Task, stored: StoredAnswers | None) -> None:
    """The name was lost: the job has the label, or there is none and the call is made once more."""
    assert stored is not None  # noqa: S101 (what is looked for was asked for)
    world, answers = turn.world, stored.answers
    found = world.batch_jobs.of(answers)
    if found:
        world.store.answers.replace(stored, replace(answers, job=found[0].name))
    elif world.now() - answers.asked_at >= VISIBLE_WITHIN:
        _start(turn, spec, world.store.answers.replace(stored, replace(answers, asked_at=world.now())))


def _give_up(turn: Turn, spec: FixedSet, task: Task, stored: StoredAnswers | None) -> None:
    assert stored is not None  # noqa: S101 (what has failed was asked for)
    _fail(turn.world, stored, task.error)


def _fail(world: World, stored: StoredAnswers, why: str) -> None:
    failed = replace(stored.answers, state=State.FAILED, ended_at=world.now(), error=why)
    world.store.answers.replace(stored, failed)


def _read(turn: Turn, spec: FixedSet, task: Task, stored: StoredAnswers | None) -> None:
    """The numbers of all answers; what is there no longer is asked for again."""
    assert stored is not None  # noqa: S101 (what is read was asked for)
    world, job, known = turn.world, task.job, stored.answers
    directory = job.directory if job else known.directory
    try:
        answers = _answers(world, directory, spec.truth)
    except (ValueError, PermanentError) as exc:
        _fail(world, stored, f"what it wrote to {directory} cannot be read: {exc}")
        return
    if not answers and job is None:
        _ask(turn, spec, task, stored)
        return
    after = replace(
        known,
        state=State.MADE,
        ended_at=world.now(),
        directory=directory,
        answered=len(answers),
        unanswered=job.unanswered if job else known.unanswered,
        values=made.compute(spec.metrics, answers),
        recipes=tuple(metric.recipe for metric in spec.metrics),
    )
    world.store.answers.replace(stored, after)


def _compare(turn: Turn, spec: FixedSet, task: Task, stored: StoredAnswers | None) -> None:
    """The candidate's answers beside the champion's, once for the two."""
    assert stored is not None  # noqa: S101 (what is compared was asked for)
    assert task.champion is not None  # noqa: S101 (with whom the plan has said)
    world, champion = turn.world, task.champion
    mine, others = (_answers(world, one.directory, spec.truth) for one in (stored.answers, champion))
    lacking = [one for one, found in ((stored.answers, mine), (champion, others)) if not found]
    if lacking:
        for one in lacking:
            again = replace(task, version=one.version, id=one.id, known=one)
            _ask(turn, spec, again, _as_it_was(world, again))
        return
    counts = made.compare(spec.compare, mine, others)
    agreed = {made.agreement_key(c, champion): n for c, n in zip(spec.compare, counts, strict=True)}
    world.store.answers.replace(stored, replace(stored.answers, agreed=agreed))


def _answers(world: World, directory: str, truth: str | None) -> list[Answer]:
    bucket, _, folder = directory.removeprefix("gs://").partition("/")
    files = [one for one in world.buckets.list(bucket, f"{folder.rstrip('/')}/") if made.is_answer_file(one.name)]
    size = sum(one.size for one in files)
    if size > MOST_BYTES:
        raise RefusedError(f"{size} bytes are more than the {MOST_BYTES} that are read")
    return [
        answer
        for one in files
        for answer in made.read_answers(world.buckets.read(bucket, one.name).splitlines(), truth)
    ]


_TASKS: dict[str, Callable[[Turn, FixedSet, Task, StoredAnswers | None], None]] = {
    "ask": _ask,
    "find": _find,
    "fail": _give_up,
    "read": _read,
    "compare": _compare,
}


def cancel_unneeded(world: World, policies: Iterable[Policy], place: tuple[str, str]) -> None:
    """End every job whose rollout has ended, that took too long, or that a lost answer has made twice."""
    models = {policy.model: policy for policy in policies if policy.gate.fixed_set}
    if not models:
        return
    jobs = world.batch_jobs.under_way(*place)
    known = world.store.answers.get([job.label.rpartition("-")[0] for job in jobs]) if jobs else {}
    queued = [s.rollout for s in world.store.unsettled_rollouts() if s.rollout.phase is Phase.QUEUED] if known else []
    for job in jobs:
        stored = known.get(job.label.rpartition("-")[0])
        if stored is None:
            continue  # of another deployment, which has records of its own
        try:
            _cancel(world, job, stored, [r for r in queued if r.model == stored.answers.model and r.stop is None])
        except RolloutsError as exc:
            log.warning(f"batch prediction {job.name} is left for the next time: {exc}")


def _cancel(world: World, job: BatchJob, stored: StoredAnswers, queued: Sequence[Rollout]) -> None:
    answers = stored.answers
    why = ""
    if answers.state is State.FAILED and answers.label == job.label:
        why = answers.error
    elif answers.label != job.label or answers.state is not State.ASKED or answers.job not in ("", job.name):
        why = "another one makes these answers"
    elif not queued or answers.version not in {r.version for r in queued} | {_champion(world, answers.model)}:
        why = "no rollout waits for it any more"
        _fail(world, stored, f"it was cancelled: {why}")
    if not why:
        return
    world.batch_jobs.cancel(job)
    now = world.now()
    entry = LedgerEntry(
        id=label_value(f"cancel-{job.name.rpartition('/')[2]}-{answers.label}"),
        rollout="",
        model=answers.model,
        at=now,
        decision="operate",
        sentence=f"Cancelled the batch prediction of v{answers.version} on {answers.instances}: {why}",
        version=answers.version,
        actor="retire_models",
    )
    record_entry(world, entry, notice=False)


def _champion(world: World, model: str) -> str:
    stored = world.store.policy(model)
    targets = len(stored.policy.targets) if stored else 1
    return desired_aliases(recent_rollouts(world, model, targets), targets).get(CHAMPION, "")
