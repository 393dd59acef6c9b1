"""Saving what a policy allows, and putting it back."""

from __future__ import annotations

from dataclasses import replace

from shared import log
from shared.actions.record import record_entry
from shared.costs.audit import Audit
from shared.costs.saving import Saving, plan_savings
from shared.errors import PermanentError, RolloutsError
from shared.rollout.names import label_value
from shared.rollout.record import LedgerEntry
from shared.store.savings import StoredSaving
from shared.wiring import World

ACTOR = "audit_costs"


def apply_savings(world: World, result: Audit) -> list[Saving]:
    """Of models whose policy says ``savings: apply`` and enforces; what was done.

    Not of two endpoints that are one target: what looks idle there has to carry all the traffic at once.
    """
    policies = [s.policy for s in world.store.policies() if s.policy.savings == "apply"]
    allowed = {p.model for p in policies if p.mode == "enforce" and not p.rollout.blue_green}
    if not allowed:
        return []
    done = []
    for saving in plan_savings(result, allowed, world.store.savings.undone()):
        # What it was is known before anything changes: whoever finds it changed can put it back.
        world.store.savings.put(_stored(saving))
        try:
            world.endpoints.set_replicas(saving.target, saving.deployed_id, *saving.after)
        except RolloutsError as exc:
            log.warning(f"{saving.model} v{saving.version} keeps its minimum of {saving.before[0]}: {exc}")
            continue
        done.append(saving)
        record_entry(world, _entry(world, saving, saving.sentence, ACTOR))
    return done


def undo_saving(world: World, id: str, author: str) -> str:  # noqa: A002
    """Put the replicas back to what they were before the first step; the sentence."""
    saving = world.store.savings.get(id)
    if saving is None:
        raise PermanentError(f"nothing was saved under the id {id}; the ledger names those that were")
    if not saving.undone_by:
        world.endpoints.set_replicas(saving.target, saving.deployed_id, *saving.before)
        world.store.savings.put(replace(saving, undone_by=author))
    sentence = f"Put the minimum of {saving.model} v{saving.version} back to {saving.before[0]} replicas; it is not lowered again"
    record_entry(world, _entry(world, saving, sentence, author))
    return sentence


def _stored(saving: Saving) -> StoredSaving:
    return StoredSaving(
        saving.id,
        saving.model,
        saving.version,
        saving.target,
        saving.deployed_id,
        saving.before,
        saving.after,
    )


def _entry(world: World, saving: Saving | StoredSaving, sentence: str, actor: str) -> LedgerEntry:
    now = world.now()
    kind = "save" if actor == ACTOR else "undo"
    return LedgerEntry(
        id=label_value(f"{kind}-{saving.id}-{now:%Y%m%d}"),
        rollout="",
        model=saving.model,
        at=now,
        decision="operate",
        sentence=sentence,
        target=str(saving.target),
        version=saving.version,
        actor=actor,
    )
