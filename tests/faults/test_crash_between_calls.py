"""One rollout from upload to the end of its watch, with one call failing: refused, or done and its answer lost.

First an undisturbed run notes every call that a function makes to Vertex AI, to the store (commits) and to Pub/Sub. Then, for a share of them
(``CRASH_CALLS=all``: for each),
a run of its own in which that call fails; the end must be the same: nothing lost, nothing twice, only later.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from shared.rollout.record import Phase
from tests.faults.conftest import MakeRig
from tests.faults.faults import Call, Disturbance, When
from tests.faults.rig import MODEL, PROJECT, REGION, Rig, policy

EVERY_CALL = os.environ.get("CRASH_CALLS") == "all"
"""Otherwise so many: each takes about a second. ``make crashes`` plays all, with more kinds of faults, in more flows."""
SHARE = 8
LASTING = ("advance", "promote", "finish", "roll_back", "pause", "fail", "reject", "supersede")
"""Decisions that must be in the ledger as often as in the undisturbed run; more deployment attempts are allowed."""


@dataclass(frozen=True)
class End:
    """What is the case when nothing moves any more."""

    split: tuple[tuple[str, int], ...]
    deployed: tuple[str, ...]
    labels: frozenset[str]
    phases: tuple[tuple[str, str], ...]
    aliases: tuple[tuple[str, str], ...]
    decisions: tuple[tuple[str, str, int], ...]
    """(version, decision, how often), of those that last."""
    queued: int
    """Entries that announce a new rollout."""
    is_sound: bool
    """Whether at every moment all the traffic went to models that could answer."""
    unsent: int


def play(rig: Rig) -> End:
    """v1 takes the endpoint, v2 walks up to all traffic, its watch ends, v1 is undeployed.

    v1 has two replicas and v2 begins with one, so that replicas are raised before a share, and given back at the end.
    """
    for replicas in (2, 1):
        rig.world.store.put_policy(policy(replicas), "owner@example.com", rig.now)
        version = rig.upload()
        rig.announce(version)
        _tick_until(rig, lambda: _has_traffic(rig, version))  # noqa: B023 (called at once)
    _tick_until(rig, lambda: _is_over(rig))
    rig.tick()
    return _end(rig)


def _tick_until(rig: Rig, is_true: Callable[[], bool]) -> None:
    for _ in range(80):
        rig.after(5)
        rig.tick()
        if is_true():
            return
    raise AssertionError(f"does not come to its end: {[e.sentence for e in rig.ledger()]}")


def _has_traffic(rig: Rig, version: str) -> bool:
    return any(r.version == version and r.phase is Phase.WATCHING for r in rig.world.store.rollouts_of_model(MODEL))


def _is_over(rig: Rig) -> bool:
    rollouts = rig.world.store.rollouts_of_model(MODEL)
    is_settled = all(not r.phase.is_open and not r.aliases_due for r in rollouts)
    return is_settled and [d.min_replicas for d in rig.endpoint.deployed] == [1]


def _end(rig: Rig) -> End:
    endpoint, store = rig.endpoint, rig.world.store
    versions = {r.deployed_id: r.version for r in store.rollouts_of_model(MODEL)}
    labels = {f"{k}={versions.get(v, v)}" for k, v in endpoint.labels.items() if k not in ("vr-since", "vr-closed-at")}
    entries = store.ledger()
    counted = Counter((e.version, e.decision) for e in entries if e.decision in LASTING)
    return End(
        split=tuple(sorted(rig.shares().items())),
        deployed=tuple(sorted(d.version for d in endpoint.deployed)),
        labels=frozenset(labels),
        phases=tuple(sorted((r.version, r.phase.value) for r in store.rollouts_of_model(MODEL))),
        aliases=tuple(
            sorted((a, v.version) for v in rig.world.registry.versions(PROJECT, REGION, MODEL) for a in v.aliases)
        ),
        decisions=tuple(sorted((v, d, n) for (v, d), n in counted.items())),
        queued=sum(e.sentence.startswith("Queued") for e in entries),
        is_sound=all(s.is_sound for s in rig.emulator.history.all()),
        unsent=len(store.unsent_notices()),
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
def test_any_call_may_fail_and_the_end_is_the_same(make_rig: MakeRig, when: When) -> None:
    undisturbed = Disturbance()
    wanted = play(make_rig(undisturbed))
    assert wanted.split == (("2", 100),)
    assert wanted.phases == (("1", "promoted"), ("2", "promoted"))
    assert dict(wanted.aliases) == {"champion": "2", "default": "2", "previous": "1"}
    assert wanted.decisions == (
        ("1", "finish", 1),
        ("1", "promote", 1),
        ("2", "advance", 2),
        ("2", "finish", 1),
        ("2", "promote", 1),
    )
    assert wanted.is_sound
    wrong = {
        str(call): found for call in _cases(undisturbed, when) if (found := _differs(make_rig, call, when, wanted))
    }
    assert not wrong, "\n".join(f"{call}: {found}" for call, found in wrong.items())


def _cases(undisturbed: Disturbance, when: When) -> Iterable[Call]:
    """Calls of every kind of every function, and a drawn share of all; the lost answer of a read is the same as its refusal."""
    calls = [c for c in dict.fromkeys(undisturbed.calls) if when == "before" or not c.is_read]
    random.Random(when).shuffle(calls)
    kinds = {(call.function, call.what): call for call in calls}
    return calls if EVERY_CALL else list(dict.fromkeys([*kinds.values(), *calls[: len(calls) // SHARE]]))


def _differs(make_rig: MakeRig, call: Call, when: When, wanted: End) -> str:
    disturbance = Disturbance(call, when)
    try:
        found = play(make_rig(disturbance))
    except AssertionError as exc:
        return str(exc)
    if not disturbance.happened:
        return "the call was never made"
    names = [name for name in End.__dataclass_fields__ if getattr(found, name) != getattr(wanted, name)]
    return "; ".join(f"{name} is {getattr(found, name)}, not {getattr(wanted, name)}" for name in names)


def test_functions_that_forget_everything_between_two_deliveries_come_to_the_same_end(make_rig: MakeRig) -> None:
    wanted = play(make_rig())
    rig = make_rig()
    rig.is_forgetful = True
    assert play(rig) == wanted
