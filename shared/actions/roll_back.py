"""Giving the traffic back: one read and one write of Vertex AI, then everything else.

Whatever else is down, the traffic moves first. The ledger follows; until it is written the event is not acknowledged, and when it comes again
the endpoint's labels say that the traffic was moved already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import log
from shared.actions.record import Severity, Telling, publish_due, record_entry, record_transition
from shared.errors import ConflictError, PermanentError, TransientError
from shared.events.alert import Alert
from shared.rollout.labels import read_labels, write_labels
from shared.rollout.names import label_value
from shared.rollout.observed import Endpoint, Group, TargetRef
from shared.rollout.record import CheckResult, Hold, LedgerEntry, Phase, Verdict
from shared.rollout.rollback import RollbackKind, RollbackPlan, plan_rollback
from shared.store.store import StoredRollout
from shared.wiring import World

TRIES = 10
"""How often another writer's conflict is answered by another read and write before the event is sent back."""
ACTOR = "roll_back"
ANSWERED = "incident"
"""Marks of incidents, by id and state, that were acted upon."""
REMEMBERED = timedelta(days=45)
"""How long such a mark is kept: longer than any message, also among the dead letters."""


@dataclass(frozen=True)
class Cause:
    """What led to a rollback, and when."""

    event: str
    """The id of the message."""
    began_at: datetime | None
    detected_at: datetime | None
    restored_at: datetime | None = None
    """When the traffic was given back, where that was before this delivery."""


def roll_back(world: World, alert: Alert, event: str, detected_at: datetime | None = None) -> RollbackPlan:
    """Do what the table says about this alert; the plan that was carried out. ``detected_at`` is when the alert was published.

    It was understood, so it is not given up: a permission that is missing in Vertex AI or in the store can be granted while the alert
    comes again and again, and Monitoring sends an incident once.
    """
    try:
        return _roll_back(world, alert, Cause(event, alert.started_at, detected_at))
    except PermanentError as exc:
        raise TransientError(f"alert {alert.id} is not dealt with yet: {exc}") from exc


def _roll_back(world: World, alert: Alert, cause: Cause) -> RollbackPlan:
    ref = _target(world, alert)
    endpoint, plan = _restore(world, ref, alert) if ref else (None, _without_target(alert))
    incident = label_value(f"{alert.id}-{alert.state}")
    if plan.kind is RollbackKind.HOLD and world.store.is_marked(ANSWERED, incident, world.now()):
        # Sent or redriven again, perhaps long after: what it was about has been dealt with, and what is on trial now is not its cause.
        plan = replace(plan, kind=RollbackKind.RECORD, sentence=f"Answered before: {alert.sentence}")
    if plan.kind is not RollbackKind.RECORD:
        # Said at once; the ledger, which says it too, may be down.
        log.warning(plan.sentence, kind=plan.kind.value, rollout=plan.rollout, alert=alert.id)
    _record(world, plan, alert, ref, endpoint, cause)
    if plan.kind is not RollbackKind.RECORD:
        world.store.mark_once(ANSWERED, incident, world.now(), REMEMBERED)
    return plan


def _target(world: World, alert: Alert) -> TargetRef | None:
    if not alert.region or not alert.endpoint:
        return None
    return TargetRef(alert.project or world.project, alert.region, alert.endpoint)


def _without_target(alert: Alert) -> RollbackPlan:
    if alert.state != "open":
        return RollbackPlan(RollbackKind.RECORD, f"The alert is {alert.state}: {alert.sentence}")
    return RollbackPlan(RollbackKind.CALL, f"An alert names no endpoint, so nothing was changed: {alert.sentence}")


def _restore(world: World, ref: TargetRef, alert: Alert) -> tuple[Endpoint | None, RollbackPlan]:
    """One read, one write; a conflicting writer costs another pair. The endpoint as it was before the write."""
    for _ in range(TRIES):
        endpoint = world.endpoints.get(ref)
        plan = plan_rollback(endpoint, _named(endpoint, ref, alert), world.now())
        if endpoint is None or plan.split is None or plan.labels is None:
            return endpoint, plan
        try:
            world.endpoints.write_traffic(endpoint, plan.split, write_labels(endpoint.labels, plan.labels))
        except ConflictError as exc:
            log.info(f"another writer was first, reading again: {exc}")
            continue
        return endpoint, plan
    raise ConflictError(
        f"endpoint {ref} was changed by somebody else at each of {TRIES} attempts to roll back; trying again"
    )


def _named(endpoint: Endpoint | None, ref: TargetRef, alert: Alert) -> Alert:
    """What is said of the idle endpoint of a pair is about the model there, whoever is live."""
    pair = endpoint.pair if endpoint else None
    if endpoint and endpoint.group and not alert.deployed_model and not alert.rollout:
        return replace(alert, deployed_model=_answering(endpoint, endpoint.group, ref))
    if pair is None or alert.deployed_model or alert.rollout or (pair.live and pair.live.ref == ref):
        return alert
    meant = next((one for one in (pair.blue, pair.green) if one and one.ref == ref), None)
    answers = next((d.id for d in meant.deployed if meant.share(d.id)), None) if meant else None
    return replace(alert, deployed_model=answers) if answers else alert


def _answering(endpoint: Endpoint, group: Group, ref: TargetRef) -> str:
    """Who is meant by what is said of one endpoint of a sticky experiment: each has one model that answers."""
    said, own = group.in_force, group.arm_on(ref.endpoint)
    if ref == group.main.ref:
        return read_labels(endpoint.labels).stable if said and said.shares else ""
    here = [slot.deployed_id for slot in said.slots if slot.endpoint == ref.endpoint] if said else []
    there = [deployed.id for deployed in own.deployed] if own else []
    return next(iter((*here, *there)), ref.endpoint)


def _record(
    world: World, plan: RollbackPlan, alert: Alert, ref: TargetRef | None, endpoint: Endpoint | None, cause: Cause
) -> None:
    stored = world.store.get_rollout(plan.rollout) if plan.rollout else None
    if stored and stored.rollout.phase.is_open:
        if plan.labels and plan.labels.rollout == stored.rollout.id:
            _drop(world, stored, plan, alert, endpoint, cause)
            return
        if plan.writes:
            _close(world, stored, plan.sentence, alert, endpoint, plan.split, cause)
            return
        if plan.kind is RollbackKind.RECORD and _is_closed_on(endpoint, stored.rollout.id):
            sentence = f"Rolled back {stored.rollout.model} v{stored.rollout.version}: {alert.sentence}"
            # The split was written by an earlier delivery, and the labels say when.
            given_back = read_labels(endpoint.labels).closed_at if endpoint else None
            split = dict(endpoint.split) if endpoint else None
            _close(world, stored, sentence, alert, None, split, replace(cause, restored_at=given_back))
            return
        if plan.kind is RollbackKind.HOLD and stored.rollout.hold is None:
            hold = Hold(alert.sentence, f"alert {alert.id}", world.now())
            telling = Telling("hold", plan.sentence, "warning", event=cause.event, actor=ACTOR, began_at=cause.began_at)
            record_transition(world, stored, stored.rollout.moved(world.now(), hold=hold), telling)
            return
    is_lost = stored is None and (plan.writes or _is_closed_on(endpoint, plan.rollout))
    if is_lost:
        log.warning(f"rollout {plan.rollout} is not in the store; its rollback is written to the ledger by itself")
    entry = _entry_alone(world, plan, alert, ref, endpoint, cause)
    if is_lost and plan.rollout:
        # By the rollout, not by the alert: whichever delivery gave the traffic back, it is written once.
        entry = replace(entry, id=label_value(f"rolled-back-{plan.rollout}"))
    if is_lost and endpoint is not None and not plan.writes:
        sentence = f"Rolled back {plan.rollout}, whose record is lost: {alert.sentence}"
        split = dict(endpoint.split)
        entry = replace(entry, decision="roll_back", severity="warning", sentence=sentence, traffic_after=split)
    record_entry(world, entry, notice=is_lost or plan.kind is not RollbackKind.RECORD)


def _drop(
    world: World, stored: StoredRollout, plan: RollbackPlan, alert: Alert, endpoint: Endpoint | None, cause: Cause
) -> None:
    """One arm of an experiment is out, and the experiment goes on."""
    arms = tuple(
        replace(arm, out=alert.sentence) if arm.deployed_id == plan.loser else arm for arm in stored.rollout.arms
    )
    telling = Telling(
        "drop",
        plan.sentence,
        "warning",
        numbers(alert),
        before=dict(endpoint.split) if endpoint else None,
        after=plan.split,
        event=cause.event,
        actor=ACTOR,
        began_at=cause.began_at,
        detected_at=cause.detected_at,
        restored_at=world.now(),
    )
    record_transition(world, stored, stored.rollout.moved(world.now(), arms=arms), telling)
    publish_due(world, [stored.rollout.id])


def _is_closed_on(endpoint: Endpoint | None, rollout: str) -> bool:
    """Whether the traffic was given back already and only the record is behind."""
    return endpoint is not None and bool(rollout) and read_labels(endpoint.labels).closed == rollout


def _close(
    world: World,
    stored: StoredRollout,
    sentence: str,
    alert: Alert,
    endpoint: Endpoint | None,
    after_split: dict[str, int] | None,
    cause: Cause,
) -> None:
    rollout, now = stored.rollout, world.now()
    outcome = rollout.stop.outcome if rollout.stop else Phase.ROLLED_BACK
    after = rollout.moved(now, phase=outcome, operation=None, shift=None, hold=None, aliases_due=True)
    telling = Telling(
        "roll_back",
        sentence,
        "warning" if rollout.stop else "error",
        numbers(alert),
        before=dict(endpoint.split) if endpoint else None,
        after=after_split,
        event=cause.event,
        actor=ACTOR,
        began_at=cause.began_at,
        detected_at=cause.detected_at,
        restored_at=cause.restored_at or now,
    )
    record_transition(world, stored, after, telling, slot="free")
    publish_due(world, [rollout.id])


def numbers(alert: Alert) -> tuple[CheckResult, ...]:
    """What the alert observed and the limit, where they are numbers: Monitoring writes sentences there, too."""
    try:
        observed, limit = float(alert.observed or ""), float(alert.limit or "")
    except ValueError:
        return ()
    return (CheckResult(alert.metric or "alert", Verdict.FAIL, alert.sentence, observed=observed, limit=limit),)


def _entry_alone(
    world: World, plan: RollbackPlan, alert: Alert, ref: TargetRef | None, endpoint: Endpoint | None, cause: Cause
) -> LedgerEntry:
    """An entry of its own, once per alert and state: for what changes no record, and for a record that is lost."""
    severity: Severity = (
        "info" if plan.kind is RollbackKind.RECORD else "error" if plan.kind is RollbackKind.CALL else "warning"
    )
    labels = read_labels(endpoint.labels) if endpoint else None
    return LedgerEntry(
        id=label_value(f"alert-{alert.id}-{alert.state}-{plan.kind.value}"),
        rollout=plan.rollout,
        model=labels.model if labels else "",
        at=world.now(),
        decision="roll_back" if plan.writes else "hold" if plan.kind is RollbackKind.HOLD else "note",
        sentence=plan.sentence,
        severity=severity,
        target=str(ref or ""),
        traffic_before=dict(endpoint.split) if endpoint and plan.writes else None,
        traffic_after=plan.split,
        checks=numbers(alert),
        event=cause.event,
        actor=ACTOR,
        began_at=cause.began_at,
        detected_at=cause.detected_at if plan.writes else None,
        restored_at=world.now() if plan.writes else None,
    )
