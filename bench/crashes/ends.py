"""What is the case when nothing moves any more, without anything that only says when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

from bench.crashes.plant import Plant
from shared import topics
from shared.rollout.record import LedgerEntry
from shared.wiring import world

LASTING = frozenset(
    {"start", "advance", "promote", "finish", "roll_back", "pause", "resume", "fail", "reject", "supersede", "adopt"}
)
"""Decisions that are to be in the ledger as often as in the undisturbed run; more attempts of operations are allowed."""
TIMES = frozenset({"vr-since", "vr-closed-at"})


@dataclass(frozen=True)
class End:
    """Comparable between two runs of one flow."""

    versions: tuple[tuple[str, tuple[tuple[str, str], ...], int], ...]
    """Number, labels, evaluations."""
    aliases: tuple[tuple[str, str], ...]
    split: tuple[tuple[str, int], ...]
    deployed: tuple[tuple[str, int], ...]
    """Version, minimum of replicas."""
    labels: tuple[str, ...]
    phases: tuple[tuple[str, str, int, bool], ...]
    decisions: tuple[tuple[str, str, int], ...]
    """Version, decision, how often, of those that last."""
    untold: int
    """Entries that somebody was to hear of and nobody has heard of."""
    unsent: int
    dead_letters: int
    is_sound: bool
    """Whether at every moment all the traffic went to models that could answer."""
    is_settled: bool
    """Whether no operation, movement, alias or stop is left half done."""
    waiting: frozenset[str]
    """Topics in which something waits for a function that is not there."""


def look(plant: Plant) -> End:
    """As it is now."""
    registry, store = world().registry, world().store
    rollouts = store.rollouts_of_model("churn")
    endpoint, versions = plant.endpoint(), plant.versions()
    names = {r.deployed_id: f"v{r.version}" for r in rollouts} | {r.id: f"rollout of v{r.version}" for r in rollouts}
    if endpoint:
        names |= {d.id: f"v{d.version}" for d in endpoint.deployed}
    entries = store.ledger()
    counted = Counter((e.version, e.decision) for e in entries if e.decision in LASTING and not _is_attempt(e))
    notices = store._documents.query("notices")
    return End(
        versions=tuple((v.version, tuple(sorted(v.labels.items())), len(registry.evaluations(v))) for v in versions),
        aliases=tuple(sorted((a, v.version) for v in versions for a in v.aliases)),
        split=tuple(sorted((names[m], s) for m, s in endpoint.split.items())) if endpoint else (),
        deployed=tuple(sorted((d.version, d.min_replicas) for d in endpoint.deployed)) if endpoint else (),
        labels=tuple(
            sorted(f"{k}={names.get(v, v)}" for k, v in endpoint.labels.items() if k[:3] == "vr-" and k not in TIMES)
        )
        if endpoint
        else (),
        phases=tuple(sorted((r.version, r.phase.value, r.stage, bool(r.hold)) for r in rollouts)),
        decisions=tuple(sorted((v, d, n) for (v, d), n in counted.items())),
        untold=sum(n.body["sent"] and n.id not in plant.told for n in notices),
        unsent=sum(not n.body["sent"] for n in notices) if "notify" in plant.functions else 0,
        dead_letters=len(plant.dead),
        is_sound=all(s.is_sound for s in plant.emulator.history.all()),
        is_settled=not any(
            r.operation or r.shift or (r.stop and r.phase.is_open) or (r.aliases_due and _has_aliases(plant))
            for r in rollouts
        ),
        waiting=frozenset(t for t in topics.ALL if t in plant.backlog()),
    )


def _has_aliases(plant: Plant) -> bool:
    return "advance_rollout" in plant.functions


def _is_attempt(entry: LedgerEntry) -> bool:
    """Whether it announces one of several attempts to deploy."""
    return entry.decision == "start" and not entry.sentence.startswith("Queued")


def difference(found: End, wanted: End) -> str:
    """What differs, in words; empty where nothing does."""
    return "; ".join(
        f"{f.name} is {getattr(found, f.name)}, not {getattr(wanted, f.name)}"
        for f in fields(End)
        if getattr(found, f.name) != getattr(wanted, f.name)
    )
