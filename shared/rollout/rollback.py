"""What an alert does to an endpoint: the rollback table, as one pure function.

It needs the endpoint as read (its labels carry the trial) and the alert, nothing else: rolling back must work while store, metrics
and chat are down. Each row of the design's table is one ``return`` here and one test by its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.events.alert import Alert
from shared.rollout.labels import TrialLabels, read_labels
from shared.rollout.observed import Endpoint
from shared.rollout.split import format_split, give_to


class RollbackKind(StrEnum):
    GIVE_BACK = "give_back"
    """The candidate's share goes to the stable."""
    TO_FALLBACK = "to_fallback"
    """All the traffic goes to the former stable."""
    HOLD = "hold"
    """The trial stands still and people are told: it is not the cause, or nobody can know."""
    RECORD = "record"
    """Nothing to do; it is written down."""
    CALL = "call"
    """Nothing may be changed, and a person is needed."""


@dataclass(frozen=True)
class RollbackPlan:
    """What to do about one alert; ``split`` and ``labels`` are the one write, for the kinds that have one."""

    kind: RollbackKind
    sentence: str
    rollout: str = ""
    loser: str = ""
    heir: str = ""
    split: dict[str, int] | None = None
    labels: TrialLabels | None = None

    @property
    def writes(self) -> bool:
        return self.split is not None


def plan_rollback(endpoint: Endpoint | None, alert: Alert, now: datetime) -> RollbackPlan:
    """The row of the table that this alert falls into.

    The order matters: what cannot be an order to act comes first, then what cannot be attributed, then who loses the traffic.
    """
    trial = read_labels(endpoint.labels if endpoint else {})
    if alert.state != "open":
        return _record(trial, f"The alert is {alert.state}: {alert.sentence}")
    if endpoint is None:
        return RollbackPlan(RollbackKind.CALL, f"An alert names a target that does not exist: {alert.sentence}")
    if not trial.is_ours:
        return RollbackPlan(
            RollbackKind.CALL,
            f"Endpoint {endpoint.ref} is not under a policy (no vr- labels), so its traffic is not ours to move: {alert.sentence}",
        )
    if alert.rollout and alert.rollout == trial.closed:
        return _record(trial, f"Already rolled back: {alert.sentence}", rollout=trial.closed)
    if alert.rollout and alert.rollout != trial.rollout:
        return _record(
            trial, f"Rollout {alert.rollout} is no longer in progress here: {alert.sentence}", rollout=alert.rollout
        )
    if alert.deployed_model and not endpoint.share(alert.deployed_model):
        closed = trial.closed if alert.deployed_model == trial.closed_from else ""
        return _record(
            trial, f"{_name(endpoint, alert.deployed_model)} has no traffic: {alert.sentence}", rollout=closed
        )
    if _began_before(trial, alert):
        return RollbackPlan(
            RollbackKind.HOLD,
            f"Holding: the incident began before what is on trial could be its cause: {alert.sentence}",
            rollout=trial.rollout,
        )
    return _attribute(endpoint, trial, alert, now)


def _attribute(endpoint: Endpoint, trial: TrialLabels, alert: Alert, now: datetime) -> RollbackPlan:
    named = alert.deployed_model
    arms = [arm for arm in trial.arms if endpoint.share(arm)]
    if arms and (named in arms or (not named and trial.unnamed != "hold") or (not named and alert.rollout)):
        return _give_back_arms(endpoint, trial, alert, now, [named] if named else arms)
    on_trial = trial.candidate if endpoint.share(trial.candidate) else arms[0] if arms else ""
    in_watch = bool(trial.fallback) and endpoint.share(trial.stable) > 0
    if named and named == on_trial:
        return _give_back(endpoint, trial, alert, now)
    if named and named == trial.stable and on_trial:
        return RollbackPlan(
            RollbackKind.HOLD,
            f"Holding: the stable {_name(endpoint, named)} degrades during the trial of {_name(endpoint, on_trial)}, "
            f"which is not the cause: {alert.sentence}",
            rollout=trial.rollout,
        )
    if named and named == trial.stable and in_watch:
        return _to_fallback(endpoint, trial, alert, now)
    if named:
        return RollbackPlan(
            RollbackKind.CALL,
            f"{_name(endpoint, named)} degrades and there is nothing to give its traffic to: {alert.sentence}",
            rollout=trial.rollout,
        )
    if trial.unnamed == "hold":
        return RollbackPlan(
            RollbackKind.HOLD,
            f"Holding: the alert names no deployed model and the policy says hold: {alert.sentence}",
            rollout=trial.rollout,
        )
    if on_trial:
        return _give_back(endpoint, trial, alert, now)
    if in_watch:
        return _to_fallback(endpoint, trial, alert, now)
    if _is_answered(trial, alert, now):
        return _record(trial, f"Already rolled back: {alert.sentence}", rollout=trial.closed)
    return RollbackPlan(
        RollbackKind.CALL,
        f"Endpoint {endpoint.ref} degrades and nothing is on trial or in reserve: {alert.sentence}",
        rollout=trial.rollout,
    )


def _began_before(trial: TrialLabels, alert: Alert) -> bool:
    """Only for alerts from outside: our own analysis looks at nothing that is older than the trial."""
    if alert.source == "analysis" or trial.since is None or alert.started_at is None:
        return False
    return alert.started_at < trial.since + trial.lag


def _is_answered(trial: TrialLabels, alert: Alert, now: datetime) -> bool:
    """Whether an alert that names nobody is about the rollout that was rolled back last.

    What the loser served is measured for the metrics' lag after it lost the traffic, and labels know whole seconds only.
    An alert that does not say when it began is taken for one that was just noticed.
    """
    if trial.closed_at is None:
        return False
    began = alert.started_at or now - trial.lag
    return began <= trial.closed_at + max(trial.lag, timedelta(seconds=1))


def _give_back(endpoint: Endpoint, trial: TrialLabels, alert: Alert, now: datetime) -> RollbackPlan:
    return _move(endpoint, trial, alert, now, RollbackKind.GIVE_BACK, loser=trial.candidate, heir=trial.stable)


def _to_fallback(endpoint: Endpoint, trial: TrialLabels, alert: Alert, now: datetime) -> RollbackPlan:
    return _move(endpoint, trial, alert, now, RollbackKind.TO_FALLBACK, loser=trial.stable, heir=trial.fallback)


def _move(
    endpoint: Endpoint, trial: TrialLabels, alert: Alert, now: datetime, kind: RollbackKind, loser: str, heir: str
) -> RollbackPlan:
    if endpoint.find(heir) is None or heir == loser:
        why = f"{heir or 'its stable'} is no longer deployed" if heir != loser else "the labels name nobody else"
        return RollbackPlan(
            RollbackKind.CALL,
            f"{_name(endpoint, loser)} has to give its traffic back and {why}: {alert.sentence}",
            rollout=trial.rollout,
        )
    split = give_to(endpoint.split, loser, heir)
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    sentence = (
        f"Rolled back {_name(endpoint, loser)} to {_name(endpoint, heir)}: {alert.sentence} "
        f"(traffic was {format_split(endpoint.split, names)}, is {format_split(split, names)})"
    )
    labels = replace(
        trial,
        rollout="",
        stable=heir,
        candidate="",
        fallback="",
        since=None,
        closed=trial.rollout,
        closed_from=loser,
        closed_at=now,
    )
    return RollbackPlan(kind, sentence, rollout=trial.rollout, loser=loser, heir=heir, split=split, labels=labels)


def _give_back_arms(
    endpoint: Endpoint, trial: TrialLabels, alert: Alert, now: datetime, losers: list[str]
) -> RollbackPlan:
    """Some arms of an experiment give their shares to the control; the experiment goes on while one with a share is left."""
    left = tuple(arm for arm in trial.arms if arm not in losers and endpoint.share(arm))
    if not left:
        whole = replace(trial, candidate=losers[0], arms=())
        split = dict(endpoint.split)
        for loser in losers[1:]:
            split = give_to(split, loser, trial.stable)
        return _move(replace(endpoint, split=split), whole, alert, now, RollbackKind.GIVE_BACK, losers[0], trial.stable)
    if endpoint.find(trial.stable) is None:
        return _move(endpoint, trial, alert, now, RollbackKind.GIVE_BACK, losers[0], trial.stable)
    split = give_to(endpoint.split, losers[0], trial.stable)
    names = {d.id: f"v{d.version}" for d in endpoint.deployed}
    sentence = (
        f"Dropped {_name(endpoint, losers[0])} from the experiment: {alert.sentence} "
        f"(traffic was {format_split(endpoint.split, names)}, is {format_split(split, names)})"
    )
    labels = replace(trial, arms=left)
    return RollbackPlan(RollbackKind.GIVE_BACK, sentence, trial.rollout, losers[0], trial.stable, split, labels)


def _record(trial: TrialLabels, sentence: str, rollout: str | None = None) -> RollbackPlan:
    return RollbackPlan(RollbackKind.RECORD, sentence, rollout=trial.rollout if rollout is None else rollout)


def _name(endpoint: Endpoint, deployed_id: str) -> str:
    found = endpoint.find(deployed_id)
    return f"{found.model} v{found.version}" if found else f"deployed model {deployed_id}"
