"""Telling people: one message per ledger entry and channel, however often the event comes."""

from __future__ import annotations

from shared import log
from shared.errors import ConflictError, PermanentError, TransientError
from shared.events.rollout import RolloutChanged
from shared.notify.message import compose
from shared.wiring import World


def notify_people(world: World, changed: RolloutChanged) -> list[str]:
    """Send to every channel of the policy that does not have it yet; which got it now.

    A channel that is down makes the event come again, and only for that channel; one that refuses is logged and given up.
    """
    notice, entry = world.store.get_notice(changed.entry), world.store.get_entry(changed.entry)
    if notice is None or entry is None:
        raise PermanentError(f"ledger entry {changed.entry} is not in the store")
    stored = world.store.get_rollout(entry.rollout) if entry.rollout else None
    policy = world.store.policy(entry.model, stored.rollout.policy_version if stored else None) if entry.model else None
    wanted = [c for c in (policy.policy.notify if policy else []) if c not in notice.sent]
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
