"""What holds at every moment, whatever happens, and what holds when nothing happens any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bench.crashes.ends import look
from bench.crashes.plant import MODEL
from bench.interleavings.town import Town
from shared.rollout.labels import read_labels
from shared.rollout.record import LedgerEntry, Phase, Rollout, Verdict
from shared.wiring import world

FORWARD = frozenset({"advance", "promote"})
OURS = "advance_rollout"
ENDINGS = frozenset({"finish", "fail", "reject", "supersede", "roll_back"})
CLOCKS = timedelta(minutes=11)
"""By how much two readings of the functions' clocks may differ, and a minute."""
NIGHT, ZONE = (22, 6), ZoneInfo("Europe/Berlin")
"""The window of the policies that have one."""


class BrokenError(AssertionError):
    """An invariant does not hold."""


class Invariants:
    """Looks after each step; remembers only what it has looked at."""

    def __init__(self, town: Town, *, by_night: bool) -> None:
        self.town, self.by_night = town, by_night
        self._made = -1
        self._seen: set[str] = {e.id for e in world().store.ledger()}
        self._old = frozenset(r.id for r in world().store.rollouts_of_model(MODEL))
        """Rollouts of an earlier policy."""
        self._stages: dict[str, int] = {}
        self._ended: dict[str, str] = {}
        self._forward: dict[str, datetime] = {}
        self._split: dict[str, int] = {}
        self._moved: dict[frozenset[tuple[str, int]], datetime] = {}
        """When each split came into force, as Vertex AI saw it: where every answer is lost, the ledger learns of it hours later."""

    def check(self) -> None:
        """After any step."""
        plant = self.town.plant
        for snapshot in plant.emulator.history.all():
            _demand(snapshot.is_sound, f"the traffic goes to models that cannot answer: {snapshot}")
            if snapshot.traffic_split != self._split:
                self._split = dict(snapshot.traffic_split)
                self._moved[frozenset(self._split.items())] = snapshot.time
        plant.emulator.history.clear()
        made = len(plant.watch.made)
        if made == self._made:
            return
        self._made = made
        rollouts = world().store.rollouts_of_model(MODEL)
        trials = [r.id for r in rollouts if r.phase.is_trial]
        _demand(len(trials) <= 1, f"several trials on one endpoint: {trials}")
        self._look_at_traffic(rollouts)
        for entry in sorted(world().store.ledger(), key=lambda e: e.id):
            if entry.id not in self._seen:
                self._seen.add(entry.id)
                self._look_at_entry(entry)

    def _look_at_traffic(self, rollouts: list[Rollout]) -> None:
        endpoint = self.town.plant.endpoint()
        if endpoint is None:
            return
        _demand(not endpoint.split or sum(endpoint.split.values()) == 100, f"the split is {endpoint.split}")
        there = {d.id: d.version for d in endpoint.deployed}
        _demand(
            {m for m, s in endpoint.split.items() if s} <= set(there), f"{endpoint.split} but only {there} is there"
        )
        # Whom a person has made the stable stays it, also while a trial has the traffic.
        trial = read_labels(endpoint.labels)
        kept = {trial.stable, trial.fallback}
        self.town.by_hand &= {version for id_, version in there.items() if endpoint.share(id_) or id_ in kept}
        for r in rollouts:
            if not r.phase.is_open and r.phase is not Phase.PROMOTED and r.version not in self.town.by_hand:
                share = endpoint.share(r.deployed_id)
                _demand(not share, f"v{r.version} has ended ({r.phase.value}: {r.sentence}) and has {share} % again")

    def _look_at_entry(self, entry: LedgerEntry) -> None:
        is_end = entry.decision in ENDINGS and entry.phase and not Phase(entry.phase).is_open
        if is_end:
            before = self._ended.setdefault(entry.rollout, entry.sentence)
            _demand(before is entry.sentence, f"{entry.rollout} ended twice: {before!r} and {entry.sentence!r}")
        if entry.decision not in FORWARD or entry.actor != OURS:
            return
        _demand(
            entry.stage > self._stages.get(entry.rollout, -1),
            f"a stage is entered twice: {entry.rollout} {entry.sentence}",
        )
        self._stages[entry.rollout] = entry.stage
        _demand(entry.rollout not in self._ended, f"{entry.rollout} goes on after its end: {entry.sentence}")
        before_at, self._forward[entry.rollout] = self._forward.get(entry.rollout), entry.at
        if self.by_night and entry.rollout not in self._old:
            moved = self._moved.get(frozenset((entry.traffic_after or {}).items()), entry.at)
            hour = moved.astimezone(ZONE).hour
            _demand(hour >= NIGHT[0] or hour < NIGHT[1], f"outside its window: {entry.at} {entry.sentence}")
        if "judged without harm" not in entry.sentence:
            return
        gating = [c for c in entry.checks if c.gating]
        _demand(bool(gating), f"advanced without a check: {entry.sentence}")
        _demand(all(c.verdict is Verdict.PASS for c in gating), f"advanced on {gating}")
        if before_at is not None:
            served = [at for at in self.town.served[entry.version] if before_at - CLOCKS <= at <= entry.at + CLOCKS]
            _demand(bool(served), f"advanced on no data: {entry.sentence}")

    def check_end(self) -> None:
        """When nothing happens any more."""
        plant = self.town.plant
        end, rollouts = look(plant), world().store.rollouts_of_model(MODEL)
        _demand(
            not any(r.phase.is_open for r in rollouts), f"never ended: {[str(r) for r in rollouts if r.phase.is_open]}"
        )
        _demand(end.is_settled, f"left half done: {rollouts}")
        _demand(not end.untold and not end.unsent, f"nobody heard of {end.untold} entries, {end.unsent} were not sent")
        _demand(not end.dead_letters, f"among the dead letters: {plant.dead}")
        for r in rollouts:
            if r.id not in self._old:
                _demand(r.id in self._ended, f"the end of {r.id} ({r.phase}) is not in the ledger: {r.sentence}")
        endpoint = plant.endpoint()
        if endpoint is None:
            return
        trial = read_labels(endpoint.labels)
        _demand(not (trial.rollout or trial.candidate or trial.fallback), f"the endpoint says that {trial} is on trial")
        if not endpoint.find(trial.stable):
            # Somebody has undeployed it by hand while nothing was on trial: what has the traffic is what a person chose.
            _demand({d.id for d in endpoint.deployed} <= set(endpoint.split), f"nobody owns one of {endpoint}")
            return
        _demand(
            {d.id for d in endpoint.deployed} <= {trial.stable},
            f"nobody owns {[d for d in endpoint.deployed if d.id != trial.stable]}",
        )
        _demand(
            not endpoint.split or endpoint.split == {trial.stable: 100},
            f"{endpoint.split}, the stable is {trial.stable}",
        )


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenError(otherwise)
