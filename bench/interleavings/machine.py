"""The state machine: one rule per thing that can happen, drawn in any order; invariants after each, and an end to everything.

Every step goes through the real functions in the Functions Framework, Google's clients and the local servers; only time is set by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bench.crashes.cases import Player
from bench.crashes.ends import look
from bench.crashes.faults import Fault
from bench.crashes.flows import ALL, apply
from bench.crashes.plant import MINUTE, MODEL, Plant
from bench.interleavings.invariants import Invariants
from bench.interleavings.town import Town
from shared.rollout.labels import read_labels
from shared.rollout.record import Phase, Rollout
from shared.rollout.split import same_split
from shared.wiring import world

STARTS = ("empty", "queued", "serving", "second queued", "deploying", "on trial", "half", "watching")
SPRING = datetime(2027, 3, 27, 19, 0, tzinfo=UTC)
"""The evening before summer time begins in Europe."""
WINDOW = {
    "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "from": "22:00",
    "until": "06:00",
    "zone": "Europe/Berlin",
}
QUIET = 260
"""Looks within which everything comes to its end, however late it was."""
AWAY = 3 * 60
"""Minutes after the end: what retires has retired."""
PATIENCE = st.fixed_dictionaries(
    {"after": st.sampled_from(["20m", "45m"]), "then": st.sampled_from(["hold", "pause", "roll_back"])}
)
POLICIES = st.fixed_dictionaries(
    {
        "drift": st.sampled_from(["pause", "reassert", "adopt"]),
        "supersede": st.sampled_from(["queue", "replace", "reject"]),
        "no_data": PATIENCE,
        "provider_error": PATIENCE,
        "deadline": st.fixed_dictionaries(
            {"after": st.sampled_from(["2h", "24h"]), "then": st.sampled_from(["hold", "pause", "roll_back"])}
        ),
        "deploy_attempts": st.integers(1, 3),
        "stable_missing": st.sampled_from(["pause", "redeploy"]),
    }
)
FEW = st.integers(0, 5)
THEN = st.sampled_from([0, 0, 0, 2])
"""Minutes that pass after something has happened: most steps follow at once upon each other."""
KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER)
ERRORS = (Fault.UNAVAILABLE, Fault.LOST, Fault.DEADLINE, Fault.QUOTA)
MODES = st.sampled_from(["add", "revise", "double"])
METHODS = ("GetEndpoint", "ListEndpoints", "UpdateEndpoint", "DeployModel", "MutateDeployedModel", "UndeployModel", "GetOperation",
           "UploadModel", "GetModel", "ListModelVersions", "MergeVersionAliases", "ListModelEvaluations", "ListTimeSeries")  # fmt: skip


class Interleavings(RuleBasedStateMachine):
    """One example; all of a process share the player, which is set before the first."""

    player: ClassVar[Player]
    simplest: ClassVar[bool] = False
    """Whether the next example is the first of its class."""
    steps: ClassVar[Counter[str]] = Counter()
    """Rules carried out so far, by name."""
    ends: ClassVar[Counter[str]] = Counter()
    """How rollouts ended."""

    town: Town
    invariants_: Invariants

    @initialize(start=st.sampled_from(STARTS), rollout=POLICIES, by_night=st.sampled_from([False, False, False, True]))
    def begin(self, start: str, rollout: dict[str, Any], by_night: bool) -> None:
        self.before = self.steps.copy(), self.ends.copy()
        plant = self.player.begin_at(start)
        if by_night:
            plant.advance(seconds=(SPRING - plant.now).total_seconds())
            rollout = {**rollout, "windows": [WINDOW]}
        self.town = Town(plant)
        apply(1, **rollout)(plant)
        self.rollout = rollout
        self.invariants_ = Invariants(self.town, by_night=by_night)

    def teardown(self) -> None:
        if not hasattr(self, "invariants_"):
            return
        try:
            self._end()
        finally:
            self.town.leave()
            if type(
                self
            ).simplest:  # Hypothesis begins with the simplest example, in which one rule follows itself: not counted
                type(self).simplest = False
                for counted, was in zip((self.steps, self.ends), self.before, strict=True):
                    counted.clear()
                    counted.update(was)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "invariants_"):
            self.invariants_.check()

    @property
    def plant(self) -> Plant:
        return self.town.plant

    # -- time ---------------------------------------------------------------------------------------

    @rule(minutes=st.integers(1, 6))
    def time_passes(self, minutes: int) -> None:
        self.steps["time passes"] += 1
        self.plant.pass_minutes(minutes, minutes)

    @rule(minutes=st.integers(1, 12))
    def time_passes_again(self, minutes: int) -> None:
        self.steps["time passes"] += 1
        self.plant.pass_minutes(minutes, minutes)

    @rule(hours=st.sampled_from([1, 1, 3, 3, 8, 26]), serving=st.booleans())
    def nobody_comes(self, hours: int, serving: bool) -> None:
        self.steps["hours without ticks"] += 1
        self.town.sleep(timedelta(hours=hours), serving=serving)

    @rule(minutes=st.integers(-5, 5), then=THEN)
    def clocks_differ(self, minutes: int, then: int) -> None:
        self.steps["clocks apart"] += 1
        self.plant.skew = minutes * MINUTE
        self._then(then)

    def _then(self, minutes: int) -> None:
        if minutes:
            self.plant.pass_minutes(minutes, minutes)

    # -- events -------------------------------------------------------------------------------------

    @rule(then=THEN)
    def another_version(self, then: int) -> None:
        self.steps["a newer version"] += 1
        self.town.train()
        self._then(then)

    @rule(back=st.integers(0, 60), late=st.booleans(), then=THEN)
    def comes_again(self, back: int, late: bool, then: int) -> None:
        self.steps["an event again"] += 1
        self.town.redeliver(back, late=late)
        self.plant.settle()
        self._then(then)

    @rule(seed=st.integers(0, 9), twice=st.sampled_from([0.0, 0.5]))
    def another_order(self, seed: int, twice: float) -> None:
        self.steps["another order"] += 1
        self.town.scramble(seed, twice)

    @rule(function=st.sampled_from(sorted(ALL - {"assess_rollouts"})), then=THEN)
    def falls_silent(self, function: str, then: int) -> None:
        self.steps["a function falls silent"] += 1
        self.plant.functions = ALL - {function}
        self._then(then)

    @precondition(lambda self: hasattr(self, "town") and self.plant.functions != ALL)
    @rule()
    def speaks_again(self) -> None:
        self.steps["a function speaks again"] += 1
        self.plant.functions = ALL
        self.plant.settle()

    @rule(
        which=FEW, ago=st.sampled_from([0, 1, 5, 30, 300]), state=st.sampled_from(["open", "open", "closed"]), then=THEN
    )
    def incident(self, which: int, ago: int, state: str, then: int) -> None:
        self.steps["an incident"] += 1
        self.town.incident(which, ago, state)
        self._then(then)

    @precondition(lambda self: hasattr(self, "town") and bool(self.town.incidents))
    @rule(which=FEW)
    def the_incident_again(self, which: int) -> None:
        self.steps["an incident again"] += 1
        self.town.ask_alert(self.town.incidents[which % len(self.town.incidents)])

    # -- in the middle of something -----------------------------------------------------------------

    @rule(
        nth=st.integers(1, 12),
        kind=st.sampled_from(["tick", "again", "incident", "command", "hand", "undeploy"]),
        which=FEW,
        then=THEN,
    )
    def in_the_middle(self, nth: int, kind: str, which: int, then: int) -> None:
        self.steps[f"in the middle: {kind}"] += 1
        town = self.town
        deeds: dict[str, Callable[[], object]] = {
            "tick": town.tick_alone,
            "again": lambda: town.redeliver(which, late=False),
            "incident": lambda: town.incident(which, 0),
            "command": lambda: town.command(["abort", "pause", "promote", "resume"][which % 4], which),
            "hand": lambda: town.move(which, which + 1, 20 * which),
            "undeploy": lambda: town.undeploy(which, 0),
        }
        town.at_call(nth, deeds[kind])
        self._then(then)

    @rule(nth=st.integers(1, 12), times=st.integers(1, 12), then=THEN)
    def another_program_writes(self, nth: int, times: int, then: int) -> None:
        self.steps["another program writes"] += 1
        self.town.at_call(nth, self.town.meddle, times=times)
        self._then(then)

    @rule(nth=st.integers(1, 15), fault=st.sampled_from([*KILLS, *KILLS, *ERRORS]), times=st.integers(1, 3), then=THEN)
    def a_call_goes_wrong(self, nth: int, fault: Fault, times: int, then: int) -> None:
        self.steps[f"a call: {fault}"] += 1
        self.town.at_call(nth, lambda: None, fault, times)
        self._then(then)

    @rule(
        method=st.sampled_from(METHODS),
        fault=st.sampled_from([*ERRORS, Fault.ABORTED]),
        times=st.integers(1, 8),
        then=THEN,
    )
    def the_service_fails(self, method: str, fault: Fault, times: int, then: int) -> None:
        self.steps["Vertex AI or Monitoring fails"] += 1
        self.town.fail(method, fault, times)
        self._then(then)

    @rule(
        method=st.sampled_from(["DeployModel", "UploadModel", "MutateDeployedModel", "UndeployModel"]),
        slow=st.booleans(),
        then=THEN,
    )
    def an_operation_fails(self, method: str, slow: bool, then: int) -> None:
        self.steps["an operation fails or is slow"] += 1
        if slow:
            self.plant.emulator.faults.set_duration(method, 3600)
        else:
            self.plant.emulator.faults.fail_operation(method)
        self._then(then)

    # -- people -------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(["pause", "resume", "resume", "promote", "abort"]), which=FEW, then=THEN)
    def command(self, name: str, which: int, then: int) -> None:
        self.steps[f"a person: {name}"] += 1
        self.town.command(name, which)
        self._then(then)

    @rule(one=FEW, other=FEW, share=st.sampled_from([0, 5, 30, 100]), then=THEN)
    def moved_by_hand(self, one: int, other: int, share: int, then: int) -> None:
        self.steps["traffic moved by hand"] += 1
        self.town.move(one, other, share)
        self._then(then)

    @rule(which=FEW, heir=FEW, then=THEN)
    def undeployed_by_hand(self, which: int, heir: int, then: int) -> None:
        self.steps["undeployed by hand"] += 1
        self.town.undeploy(which, heir)
        self._then(then)

    @rule(rollout=POLICIES)
    def another_policy(self, rollout: dict[str, Any]) -> None:
        self.steps["the policy is changed"] += 1
        windows = {"windows": self.rollout["windows"]} if "windows" in self.rollout else {}
        apply(1, **rollout, **windows)(self.plant)

    # -- metrics ------------------------------------------------------------------------------------

    @rule(version=st.integers(1, 6), share=st.sampled_from([0.0, 0.0, 0.02, 0.3]), then=THEN)
    def health(self, version: int, share: float, then: int) -> None:
        self.steps["health of a version"] += 1
        self.plant.errors[str(version)] = share
        self._then(then)

    @rule(requests=st.sampled_from([0, 20, 300, 300]), then=THEN)
    def requests(self, requests: int, then: int) -> None:
        self.steps["traffic comes and goes"] += 1
        self.plant.requests = requests
        self._then(then)

    @rule(seconds=st.sampled_from([0, 60, 240, 480]))
    def metrics_are_late(self, seconds: int) -> None:
        self.steps["metrics late"] += 1
        self.plant.monitoring.sink.set_delays(seconds, {})

    @rule(
        mode=MODES,
        ago=st.integers(0, 12),
        value=st.sampled_from([0, 30, 300]),
        code=st.sampled_from(["200", "200", "503"]),
        then=THEN,
    )
    def metrics_are_revised(self, mode: str, ago: int, value: int, code: str, then: int) -> None:
        self.steps[f"metrics: {mode}"] += 1
        self.town.revise(mode, ago, value, code)
        self._then(then)

    # -- the end ------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Nothing goes wrong any more, and a person sees to what is paused: then everything comes to its end."""
        plant = self.plant
        self.town.calm()
        plant.emulator.faults.clear()
        plant.monitoring.sink.set_delays(0, {})
        plant.errors, plant.functions, plant.requests, plant.skew = {}, ALL, 300, timedelta(0)
        plant.pass_minutes(-plant.minute % 5 or 5, 1)  # the jobs of every fifth minute come by from now on
        for look_ in range(QUIET):
            minutes = min(5 * (1 + look_ // 40), 30)
            plant.pass_minutes(minutes, minutes)
            self.invariants_.check()
            rollouts = world().store.rollouts_of_model(MODEL)
            if look_ % 6 == 5:
                self._put_right(rollouts)
            if (
                plant.is_quiet
                and not any(r.phase.is_open for r in rollouts)
                and look(plant).is_settled
                and not self._is_split()
            ):
                break
        for _ in range(AWAY // 30):
            plant.pass_minutes(30, 30)
        self.invariants_.check()
        self.invariants_.check_end()
        self.ends.update(r.phase.value for r in world().store.rollouts_of_model(MODEL))

    def _is_split(self) -> bool:
        """Whether somebody has left the traffic elsewhere than at the stable."""
        endpoint = self.plant.endpoint()
        if endpoint is None or not endpoint.split:
            return False
        stable = read_labels(endpoint.labels).stable
        return bool(endpoint.find(stable)) and not same_split(endpoint.split, {stable: 100})

    def _put_right(self, rollouts: list[Rollout]) -> None:
        """What the runbook tells a person to do about a pause: undo what was done by hand, give up what is on trial."""
        endpoint = self.plant.endpoint()
        stable = read_labels(endpoint.labels).stable if endpoint else ""
        open_ones = [r for r in rollouts if r.phase.is_open]
        for r in open_ones:
            if r.hold and r.stop and self._is_split():
                self.town.give({stable: 100})
            elif r.hold and r.stop and endpoint and not endpoint.find(stable) and endpoint.share(r.deployed_id):
                # Nobody but a person can say who gets its share when the stable is gone; here, who has most besides.
                others = [d.id for d in endpoint.deployed if d.id != r.deployed_id]
                if others:
                    self.town.give({max(others, key=endpoint.share): 100})
            if r.hold is None or r.stop is not None:
                continue
            is_alone = r.phase is Phase.DEPLOYING and r.stable_id and not (endpoint and endpoint.find(r.stable_id))
            if r.phase is Phase.CANARY or (r.phase is Phase.WATCHING and r.stable_id) or is_alone:
                self.plant.ask("receive_command", {"command": "abort", "rollout": r.id})
                continue
            # The label may name a stable that somebody has undeployed; then the record knows better.
            known = [id_ for id_ in (stable, r.stable_id) if endpoint and endpoint.find(id_)]
            held = known[0] if known else r.deployed_id
            if endpoint and endpoint.find(held) and endpoint.split and not same_split(endpoint.split, {held: 100}):
                self.town.give({held: 100})
            self.plant.ask("receive_command", {"command": "resume", "rollout": r.id})
        if not any(r.phase.is_trial or r.phase is Phase.WATCHING for r in open_ones) and self._is_split():
            self.town.give({stable: 100})
