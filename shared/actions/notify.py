"""Telling people: one message per ledger entry and channel, however often the event comes."""

from __future__ import annotations

from shared import log
from shared.errors import ConflictError, PermanentError, TransientError
from shared.events.rollout import RolloutChanged
from shared.notify.message import compose
from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry, Rollout
from shared.wiring import World


def notify_people(world: World, changed: RolloutChanged) -> list[str]:
    """Send to every channel of the policy that does not have it yet; which got it now.

    A channel that is down makes the event come again, and only for that channel; one that refuses is logged and given up.
    """
    notice, entry = world.store.get_notice(changed.entry), world.store.get_entry(changed.entry)
    if notice is None or entry is None:
        raise PermanentError(f"ledger entry {changed.entry} is not in the store")
    stored = world.store.get_rollout(entry.rollout) if entry.rollout else None
    policy = _policy_of(world, entry, stored.rollout if stored else None)
    if policy is None:
        log.warning(f"no policy says who is to hear of this: {entry.sentence}", entry=entry.id)
    wanted = [c for c in (policy.notify if policy else []) if c not in notice.sent]
    payload = compose(entry, stored.rollout if stored else None)
    sent, given_up, down = [], [], []
    for channel in wanted:
        try:
            world.channels.find(channel).post(channel, entry.id, payload, world.now())
            sent.append(channel)
        except TransientError as exc:
            down.append(str(exc))
        except PermanentError as exc:
            log.error(str(exc), channel=channel)
            given_up.append(channel)
    try:
        world.store.mark_sent(notice, [*sent, *given_up], complete=not down)
    except ConflictError:
        log.info(f"another delivery has told people of {entry.id} too")
    if down:
        raise TransientError("; ".join(down))
    return sent


def _policy_of(world: World, entry: LedgerEntry, rollout: Rollout | None) -> Policy | None:
    """The rollout's, the model's, or of an endpoint whose labels name no model the one that claims it.

    By region and endpoint: an alert may name the project by its number.
    """
    if entry.model:
        stored = world.store.policy(entry.model, rollout.policy_version if rollout else None)
        return stored.policy if stored else None
    if not entry.target:
        return None
    ref = TargetRef.parse(entry.target)
    policies = (stored.policy for stored in world.store.policies())
    return next(
        (p for p in policies if any((t.region, t.endpoint) == (ref.region, ref.endpoint) for t in p.targets)), None
    )
