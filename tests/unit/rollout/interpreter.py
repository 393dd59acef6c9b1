"""A tiny world in which the steps of the pure core are carried out: an endpoint, its operations, records, people and bad luck.

Steps are applied as ``shared.actions`` applies them, the intent before the call and the answer after it, and everything may end
between any two of these. What must never be is asserted where it would happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any

from shared.events.alert import Alert
from shared.policy.schema import Policy
from shared.rollout import steps
from shared.rollout.capacity import ReplicaChange
from shared.rollout.decide import Kind, decide
from shared.rollout.evidence import Evidence
from shared.rollout.labels import read_labels, write_labels
from shared.rollout.observed import DeployedModel, Endpoint, OperationState
from shared.rollout.record import Hold, Operation, Phase, Rollout, Shift, Stop, Verdict
from shared.rollout.retire import Undeploy, plan_retirement
from shared.rollout.rollback import RollbackKind, plan_rollback
from shared.rollout.split import same_split
from tests.unit.rollout.worlds import MINUTE, NOW, REF, alert, served

BROKEN, BAD, SILENT, GOOD = "unreadable", "bad", "silent", "good"


class CrashError(Exception):
    """The function ended here; what was done is done."""


@dataclass
class Pending:
    """A long-running operation: done at a moment, well or not."""

    done_at: datetime
    effect: Callable[[], None]
    error: str = ""
    retryable: bool = False
    applied: bool = False


@dataclass
class World:
    """One endpoint, the rollouts to it, and a generator of everything that can happen."""

    policy: Policy
    luck: Random
    endpoint: Endpoint | None
    rollouts: dict[str, Rollout]
    now: datetime = NOW
    calm: bool = False
    """From now on nothing goes wrong, so everything has to come to its end."""
    slot: str = ""
    health: dict[str, str] = field(default_factory=dict)
    """By rollout: how its candidate does, and whether one can see it."""
    heard: dict[str, datetime] = field(default_factory=dict)
    blind_since: dict[str, datetime] = field(default_factory=dict)
    operations: dict[str, Pending] = field(default_factory=dict)
    meddled: bool = False
    """Whether a person has moved traffic by hand: what they did is theirs."""
    crashed: bool = False
    """Misfortunes come together: what is half done is where the next one finds a mistake."""
    log: list[str] = field(default_factory=list)

    # The world goes on

    def pass_time(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        for pending in self.operations.values():
            if pending.done_at <= self.now and not pending.applied:
                pending.applied = True
                if not pending.error:
                    pending.effect()
        for id_ in self.rollouts:
            if self.health.get(id_) in (GOOD, BAD):
                self.heard[id_] = self.now - 5 * MINUTE
            if self.health.get(id_) != BROKEN:
                self.blind_since.pop(id_, None)
            else:
                self.blind_since.setdefault(id_, self.now)

    def seen(self) -> Endpoint:
        assert self.endpoint is not None
        return self.endpoint

    def autoscale(self) -> None:
        """Vertex AI's own autoscaler, and machines that come and go: always enough in the end."""

        def scaled(d: DeployedModel) -> DeployedModel:
            least = d.min_replicas if self.calm else max(d.min_replicas - self.luck.choice([0, 0, 0, 1]), 1)
            now = self.luck.randint(least, d.max_replicas) if self.endpoint and self.endpoint.share(d.id) else least
            return replace(d, available_replicas=now)

        if self.endpoint:
            self.endpoint = replace(self.endpoint, deployed=tuple(scaled(d) for d in self.endpoint.deployed))

    def may_crash(self) -> None:
        if not self.calm and self.luck.random() < 0.1:
            self.crashed = True
            raise CrashError

    # What is written, and what may never be

    def write(self, split: dict[str, int], labels: dict[str, str]) -> None:
        """Vertex AI's own rules, and that nobody who is not on trial is robbed."""
        there = {d.id for d in self.seen().deployed}
        assert sum(split.values()) == 100, split
        assert set(split) <= there, (split, there)
        self.endpoint = replace(self.seen(), split=split, labels=labels)

    def transition(self, after: Rollout, slot: str = "") -> None:
        if slot == "take":
            assert self.slot in ("", after.id), "at most one trial per endpoint"
            self.slot = after.id
        elif slot == "free" and self.slot == after.id:
            self.slot = ""
        self.rollouts[after.id] = after
        if not after.phase.is_open and after.phase is not Phase.PROMOTED and self.endpoint and not self.meddled:
            assert not self.endpoint.share(after.deployed_id), f"{after.id} ended {after.phase} with traffic"

    # One look at one rollout

    def evidence(self, r: Rollout) -> Evidence | None:
        if r.stage_since is None:
            return None
        mood = self.health[r.id]
        errors = 100 if mood == BAD else 0
        heard = max(self.heard.get(r.id, r.stage_since), r.stage_since)
        blind = self.blind_since.get(r.id)
        return Evidence(
            r.id,
            r.stage_since,
            newer={r.deployed_id: served(500, errors)} if heard > r.stage_since else {},
            judged_until=max(r.stage_since, (blind or self.now) - 5 * MINUTE),
            heard={"error_rate": heard},
            error_since=blind,
            error="503" if blind else "",
        )

    def look(self, r: Rollout) -> steps.Situation:
        op = r.operation
        pending = self.operations.get(op.name) if op else None
        state = None
        if op and pending:
            done = pending.done_at <= self.now
            state = OperationState(op.name, done, pending.error if done else "", pending.retryable)
        decision = decide(self.policy, r, self.evidence(r), self.now)
        return steps.Situation(
            self.policy, r, self.endpoint, decision, self.now, state, busy=self.slot if r.phase is Phase.QUEUED else ""
        )

    def advance(self, id_: str) -> None:
        """As ``advance_rollout``: one step, and what only tidies is followed by another."""
        for _ in range(4):
            situation = self.look(self.rollouts[id_])
            step = steps.plan_step(situation)
            self.log.append(f"{self.now:%H:%M} {id_[:8]} {situation.rollout.phase.value}: {step}")
            self.apply(self.rollouts[id_], situation, step)
            if not isinstance(step, steps.Forget):
                return

    def apply(self, r: Rollout, s: steps.Situation, step: steps.Step) -> None:
        self.may_crash()
        match step:
            case steps.CreateEndpoint():
                self._start(r, Operation("create_endpoint", REF.endpoint, self.now), self._create)
            case steps.Deploy():
                self._deploy(r, step)
            case steps.SetReplicas():
                pinned = {step.change.deployed_id: step.change.before} | r.pinned
                op = Operation("set_replicas", step.change.deployed_id, self.now, detail=step.sentence)
                self._start(replace(r, pinned=pinned), op, lambda: self.resize(step.change))
            case steps.Redeploy():
                made = DeployedModel(step.deployed_id, r.model, r.stable_version, step.replicas, 5)
                op = Operation("deploy", step.deployed_id, self.now, detail=step.sentence)
                self._start(r, op, lambda: self._appear(made), not_before=None)
            case steps.Reinstate():
                share = step.split.get(r.deployed_id, 0)
                assert share <= self.seen().share(r.deployed_id), "a stable that comes back raises nobody"
                self.write(step.split, write_labels(self.seen().labels, step.labels))
                self.may_crash()
                self.transition(r.moved(self.now, stable_id=step.deployed_id, not_before=None, resizes_failed=0))
            case steps.Move():
                self._move(r, s, step)
            case steps.Confirm():
                self._confirm(r)
            case steps.Lower():
                assert step.split.get(r.deployed_id, 0) < self.seen().share(r.deployed_id), "it only ever lowers"
                self.write({m: p for m, p in step.split.items() if p}, dict(self.seen().labels))
                self.may_crash()
                self.transition(r.moved(self.now))
            case steps.AskRollback():
                self.fire(self._analysis(r, step.sentence))
            case steps.Supersede():
                self._supersede(r, step)
            case steps.Close():
                self._close(r, step)
            case _:
                self._note(r, step)

    def _note(self, r: Rollout, step: steps.Step) -> None:
        """Steps that change the record and nothing else."""
        changes: dict[str, Any] = {}
        match step:
            case steps.Wait():
                return
            case steps.Forget():
                changes = {"operation": None, "shift": None}
            case steps.Rebase():
                changes = {"stable_id": step.stable_id, "stable_version": step.stable_version, "shift": None}
            case steps.Retry():
                changes = {"operation": None, "attempt": r.attempt + 1, "not_before": step.not_before}
            case steps.PutOff():
                changes = {
                    "operation": None,
                    "not_before": step.not_before,
                    "resizes_failed": r.resizes_failed + 1,
                }
            case steps.Pause():
                assert r.hold is None, "told once"
                changes = {"hold": Hold(step.reason, step.by, self.now), "shift": None}
        assert changes, step
        self.transition(r.moved(self.now, **changes))

    def _analysis(self, r: Rollout, sentence: str) -> Alert:
        named = {"rollout": r.id, "deployed_model": r.deployed_id, "started_at": self.now, "sentence": sentence}
        return alert(source="analysis", **named)

    def _supersede(self, r: Rollout, step: steps.Supersede) -> None:
        other = self.rollouts[step.other]
        if other.phase.is_open and other.stop is None:
            self.transition(other.moved(self.now, stop=Stop(Phase.SUPERSEDED, step.sentence, r.id, self.now)))

    def _start(self, r: Rollout, op: Operation, effect: Callable[[], None], slot: str = "", **more: Any) -> None:
        """The intent, the call, its name; a call that was made goes on whether or not its name was kept."""
        self.transition(r.moved(self.now, operation=op, **more), slot)
        self.may_crash()
        name = f"operation-{len(self.operations)}"
        unlucky = not self.calm and self.luck.random() < 0.15
        pending = Pending(self.now + self.luck.randint(1, 25) * MINUTE, effect)
        if unlucky:
            pending.error, pending.retryable = "out of T4s", self.luck.random() < 0.7
        self.operations[name] = pending
        self.may_crash()
        self.transition(replace(self.rollouts[r.id], operation=replace(op, name=name)))

    def _create(self) -> None:
        if self.endpoint is None:
            self.endpoint = Endpoint(REF, "", {"vr-model": "churn"}, {})

    def _deploy(self, r: Rollout, step: steps.Deploy) -> None:
        if self.slot not in ("", r.id):
            return  # another took the place first: a conflict, and another look
        made = DeployedModel(step.deployed_id, r.model, r.version, 1, 5)

        op = Operation("deploy", step.deployed_id, self.now)
        self._start(
            r,
            op,
            lambda: self._appear(made),
            "take",
            phase=Phase.DEPLOYING,
            deployed_id=step.deployed_id,
            stable_id=step.stable_id,
            stable_version=step.stable_version,
            not_before=None,
        )

    def _appear(self, made: DeployedModel) -> None:
        if not self.seen().find(made.id):
            self.endpoint = replace(self.seen(), deployed=(*self.seen().deployed, made))

    def resize(self, change: ReplicaChange) -> None:
        def changed(d: DeployedModel) -> DeployedModel:
            hit = d.id == change.deployed_id
            return replace(d, min_replicas=change.minimum, max_replicas=change.maximum) if hit else d

        self.endpoint = replace(self.seen(), deployed=tuple(changed(d) for d in self.seen().deployed))

    def _move(self, r: Rollout, s: steps.Situation, step: steps.Move) -> None:
        before = self.seen()
        self._assert_earned(r, s, step, before)
        shift = Shift(step.split, step.stage, step.phase, self.now, step.sentence, step.decision.value, step.checks)
        self.transition(r.moved(self.now, shift=shift))
        self.may_crash()
        self.write(step.split, write_labels(before.labels, step.labels))
        self.may_crash()
        self._confirm(self.rollouts[r.id])

    def _assert_earned(self, r: Rollout, s: steps.Situation, step: steps.Move, before: Endpoint) -> None:
        stages = self.policy.rollout.stages
        first = r.phase is Phase.DEPLOYING
        assert r.hold is None
        assert r.stop is None or before.share(r.deployed_id) == 100, "who is to stop is given nothing"
        assert step.stage == (r.stage + 1 if r.stable_id else len(stages) - 1), "one stage at a time"
        assert step.split.get(r.deployed_id, 0) == stages[step.stage].traffic
        assert read_labels(before.labels).closed != r.id, "what was rolled back stays so"
        if self.policy.rollout.drift != "adopt":
            holders = {m for m, p in before.split.items() if p}
            assert holders <= {r.stable_id, r.deployed_id}, "a share is taken from nobody else"
        if not first and not r.approved:
            assert s.decision.kind in (Kind.ADVANCE, Kind.PROMOTE)
            assert all(c.verdict is Verdict.PASS for c in s.decision.checks), "ignorance does not advance"
            assert self.health[r.id] == GOOD or self.heard[r.id] >= self.now - 16 * MINUTE

    def _confirm(self, r: Rollout) -> None:
        shift = r.shift
        assert shift is not None
        since = shift.intended_at if shift.phase != r.phase else r.phase_since
        after = r.moved(
            self.now,
            phase=shift.phase,
            stage=shift.stage,
            stage_since=shift.intended_at,
            phase_since=since,
            shift=None,
            approved=False,
            resizes_failed=0,
        )
        self.transition(after, "free" if shift.phase is Phase.WATCHING else "")

    def _close(self, r: Rollout, step: steps.Close) -> None:
        if step.release and self.endpoint is not None:
            holder = r.deployed_id if step.phase is Phase.PROMOTED else r.stable_id
            labels = write_labels(self.endpoint.labels, steps.release_labels(self.endpoint, holder))
            self.endpoint = replace(self.endpoint, labels=labels)
            self.may_crash()
        if step.phase is Phase.PROMOTED and not self.meddled:
            assert self.seen().share(r.deployed_id) >= 50, "what is promoted carries the traffic"
        self.transition(r.moved(self.now, phase=step.phase, operation=None, shift=None, hold=None), "free")

    # Alerts

    def fire(self, fired: Alert) -> None:
        """As ``roll_back``: one read, one write, then the record."""
        plan = plan_rollback(self.endpoint, fired, self.now)
        self.log.append(f"{self.now:%H:%M} {plan.kind.value} {plan.sentence}")
        before = self.endpoint
        if plan.split is not None and plan.labels is not None:
            self.write(plan.split, write_labels(self.seen().labels, plan.labels))
        self.may_crash()
        r = self.rollouts.get(plan.rollout)
        if r is None or not r.phase.is_open:
            return
        closed = plan.kind is RollbackKind.RECORD and before and read_labels(before.labels).closed == r.id
        if plan.writes or closed:
            outcome = r.stop.outcome if r.stop else Phase.ROLLED_BACK
            self.transition(r.moved(self.now, phase=outcome, operation=None, shift=None, hold=None), "free")
        elif plan.kind is RollbackKind.HOLD and r.hold is None:
            self.transition(r.moved(self.now, hold=Hold(fired.sentence, "alert", self.now)))

    # People

    def pause(self, r: Rollout) -> None:
        if r.hold is None:
            self.transition(r.moved(self.now, hold=Hold("lunch", "ann@example.com", self.now)))

    def resume(self, r: Rollout) -> None:
        self.transition(r.moved(self.now, hold=None, resumed_at=self.now, resizes_failed=0))

    def promote(self, r: Rollout) -> None:
        if r.phase is Phase.CANARY:
            self.transition(r.moved(self.now, hold=None, approved=True))

    def abort(self, r: Rollout) -> None:
        if r.phase is Phase.WATCHING and not r.stable_id:
            return  # refused: nothing else can take its traffic
        self.transition(r.moved(self.now, stop=Stop(Phase.ROLLED_BACK, "enough", "ann@example.com", self.now)))

    def meddle(self) -> None:
        """Somebody moves traffic in the console, with labels and all else as they are."""
        there = [d.id for d in self.seen().deployed]
        if not there or not self.seen().split:
            return
        one, other = self.luck.choice(there), self.luck.choice(there)
        share = self.luck.choice([0, 5, 30, 100])
        self.meddled = True
        split = {one: 100} if one == other else {one: share, other: 100 - share}
        self.endpoint = replace(self.seen(), split={m: p for m, p in split.items() if p})
        self.log.append(f"{self.now:%H:%M} somebody moves traffic: {self.seen().split}")

    def undeploy(self) -> None:
        """Somebody takes a model off the endpoint, and gives its traffic to another first."""
        there = [d.id for d in self.seen().deployed]
        if len(there) < 2 or not self.seen().split:
            return
        gone = there.pop(self.luck.randrange(len(there)))
        self.meddled = True
        heir = self.luck.choice(there)
        split = {heir: 100} if self.seen().share(gone) else self.seen().split
        left = tuple(d for d in self.seen().deployed if d.id != gone)
        self.endpoint = replace(self.seen(), split=split, deployed=left)
        self.log.append(f"{self.now:%H:%M} somebody undeploys {gone}: {self.seen().split}")

    def put_right(self, r: Rollout) -> None:
        """What a person does about a pause in the end: undo what was done by hand, or give the rollout up."""
        labels = read_labels(self.seen().labels)
        is_alone = r.phase is Phase.DEPLOYING and bool(r.stable_id) and not self.seen().find(r.stable_id)
        if r.phase is Phase.CANARY or (r.phase is Phase.WATCHING and r.stable_id) or is_alone:
            self.abort(r)
            return
        held = labels.stable or r.deployed_id
        if self.seen().find(held) and self.seen().split and not same_split(self.seen().split, {held: 100}):
            self.endpoint = replace(self.seen(), split={held: 100})
        self.resume(r)

    def retire(self) -> None:
        """As ``retire_models``; undeploying what has traffic would be refused, and is never asked."""
        if self.endpoint is None:
            return
        for found in plan_retirement(self.policy, self.seen(), list(self.rollouts.values()), self.now):
            if isinstance(found, Undeploy):
                assert not self.seen().share(found.deployed_id)
                gone = tuple(d for d in self.seen().deployed if d.id != found.deployed_id)
                self.endpoint = replace(self.seen(), deployed=gone)
            else:
                self.resize(found.change)

    # A day

    def tick(self) -> None:
        """What may happen between two looks, and then a look at each rollout that is open, in any order."""
        if not self.calm:
            self._luck_strikes()
        self.pass_time(self.luck.randint(1, 9))
        self.autoscale()
        waiting = [r.id for r in self.rollouts.values() if r.phase.is_open]
        self.luck.shuffle(waiting)
        for id_ in waiting:
            if self.rollouts[id_].phase.is_open:
                self.carefully(lambda: self.advance(id_))  # noqa: B023 (called at once)
        if self.luck.random() < 0.3:
            self.retire()

    def carefully(self, action: Callable[[], None]) -> None:
        try:
            action()
        except CrashError:
            self.log.append(f"{self.now:%H:%M} crashed")

    def _luck_strikes(self) -> None:
        for id_ in self.rollouts:
            if self.luck.random() < 0.15:
                self.health[id_] = self.luck.choice([GOOD, GOOD, GOOD, SILENT, BROKEN, BAD])
        open_ones = [r for r in self.rollouts.values() if r.phase.is_open]
        if not open_ones:
            return
        r = self.luck.choice(open_ones)
        does = self.luck.random() * (0.4 if self.crashed else 1)
        self.crashed = False
        deeds: list[tuple[float, Callable[[], None]]] = [
            (0.03, lambda: self.pause(r)),
            (0.12, lambda: self.resume(r)),
            (0.15, lambda: self.promote(r)),
            (0.17, lambda: self.abort(r)),
            (0.20, lambda: self.meddle() if self.endpoint and self.policy.rollout.drift != "pause" else None),
            (0.22, lambda: self.undeploy() if self.endpoint and self.policy.rollout.drift != "pause" else None),
            (0.28, self._incident),
        ]
        for until, deed in deeds:
            if does < until:
                self.carefully(deed)
                return

    def _incident(self) -> None:
        there = [d.id for d in self.seen().deployed] if self.endpoint else []
        named = self.luck.choice([None, *there])
        begun = self.now - self.luck.randint(0, 90) * MINUTE
        self.fire(alert(deployed_model=named, started_at=begun, id=f"incident-{self.luck.random()}"))
