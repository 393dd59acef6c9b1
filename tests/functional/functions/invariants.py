"""What every story has to leave as the reliability suite demands it (docs/reliability.md): looked at when a story is over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from shared.rollout.labels import read_labels
from shared.rollout.record import LedgerEntry, Phase, Rollout
from tests.functional.functions.harness import Cloud

FORWARD = ("advance", "promote")
ENDS = ("finish", "fail", "reject", "supersede", "roll_back")


def broken(cloud: Cloud) -> Iterator[str]:
    """Every invariant that does not hold, as a sentence."""
    for snapshot in cloud.emulator.history.all():
        if not snapshot.is_sound:
            yield f"the traffic went to models that cannot answer: {snapshot}"
    ledger = cloud.world.store.ledger()
    names = sorted({entry.rollout for entry in ledger if entry.rollout})
    stored = [found.rollout for name in names if (found := cloud.world.store.get_rollout(name))]
    trials = Counter(str(r.target) for r in stored if r.phase.is_trial)
    yield from (f"{number} trials at once on {target}" for target, number in trials.items() if number > 1)
    for rollout in stored if not cloud.moved_by_hand else ():
        yield from _keeps(cloud, rollout)
    told: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in ledger:
        told[entry.rollout].append(entry)
    for name in names:
        yield from _walked(name, sorted(told[name], key=lambda entry: entry.id))


def _keeps(cloud: Cloud, rollout: Rollout) -> Iterator[str]:
    """What has ended badly has no traffic, but where nobody else was there to take it, or a person gave it."""
    if rollout.phase.is_open or rollout.phase is Phase.PROMOTED or not rollout.deployed_id:
        return
    endpoint = cloud.world.endpoints.get(rollout.target)
    if endpoint and endpoint.share(rollout.deployed_id) and read_labels(endpoint.labels).stable != rollout.deployed_id:
        yield f"{rollout.id} has ended ({rollout.phase.value}) and has {endpoint.share(rollout.deployed_id)} %"


def _walked(name: str, entries: list[LedgerEntry]) -> Iterator[str]:
    """Each stage once, upwards, and nothing after the end; a person may begin it again."""
    stage, end = -1, ""
    for entry in entries:
        if entry.decision == "start" and end:
            stage, end = -1, ""
        has_ended = entry.decision in ENDS and entry.phase and not Phase(entry.phase).is_open
        if has_ended and end:
            yield f"{name} ended twice: {end!r} and {entry.sentence!r}"
        if has_ended:
            end = entry.sentence
        if entry.decision in FORWARD and entry.traffic_after:
            if end:
                yield f"{name} went on after its end: {entry.sentence}"
            if 0 <= entry.stage <= stage:  # an experiment is before the first one
                yield f"{name} entered stage {entry.stage} after stage {stage}: {entry.sentence}"
            stage = entry.stage
