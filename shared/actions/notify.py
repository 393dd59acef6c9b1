"""Telling people: one message per ledger entry and channel, however often the event comes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from shared import log
from shared.errors import ConflictError, NotYetError, PermanentError, TransientError
from shared.events.rollout import RolloutChanged
from shared.notify.announcement import Announcement, compose
from shared.notify.slack import LostThreadError, SlackBot
from shared.notify.webhook import Webhook
from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry, Rollout
from shared.store.store import Notice
from shared.wiring import World

NEWS = timedelta(days=1)
"""A channel that is down for longer than this does not get the message any more."""
_SERIOUS = ("info", "warning", "error")


def notify_people(world: World, changed: RolloutChanged) -> list[str]:
    """Send to every channel of the policy that is to have it and does not yet; which got it now.

    A channel that is down makes the event come again, and only for that channel; one that refuses is logged and given up. Each channel is
    remembered as soon as it has the message, so that a delivery that dies repeats one message at most.
    """
    notice, entry = world.store.get_notice(changed.entry), world.store.get_entry(changed.entry)
    if notice is None or entry is None:
        raise PermanentError(f"ledger entry {changed.entry} is not in the store")
    stored = world.store.get_rollout(entry.rollout) if entry.rollout else None
    rollout = stored.rollout if stored else None
    policy = _policy_of(world, entry, rollout)
    if policy is None and not _is_of_the_fleet(entry):
        log.warning(f"no policy says who is to hear of this: {entry.sentence}", entry=entry.id)
    wanted = channels_for(policy.notify if policy else _of_the_fleet(world, entry), entry.severity)
    waiting = [channel for channel in wanted if channel not in notice.sent]
    told = _compose(world, entry, rollout) if waiting else None
    sent, down = [], []
    for channel in waiting:
        if told is None or channel in notice.sent:
            continue
        try:
            _post(world, channel, told)
            sent.append(channel)
        except TransientError as exc:
            if isinstance(exc, NotYetError) or world.now() - entry.at < NEWS:
                down.append(str(exc))
                continue
            log.error(f"given up, as it is no news any more: {exc}", channel=channel)
        except PermanentError as exc:
            log.error(str(exc), channel=channel)
        notice = _mark(world, notice, channel, complete=channel == waiting[-1] and not down)
    if not down and (not waiting or waiting[-1] not in notice.sent):
        _mark(world, notice, "", complete=True)
    if down:
        raise TransientError("; ".join(down))
    return sent


def _is_of_the_fleet(entry: LedgerEntry) -> bool:
    """Whether it is about everything, and so about no policy: an audit of costs."""
    return not (entry.rollout or entry.model or entry.target)


def _of_the_fleet(world: World, entry: LedgerEntry) -> list[str]:
    """``FLEET_CHANNELS``, separated by commas: who hears what no single policy's people have to hear."""
    named = world.environment.get("FLEET_CHANNELS", "") if _is_of_the_fleet(entry) else ""
    return [channel.strip() for channel in named.split(",") if channel.strip()]


def channels_for(notify: Iterable[str], severity: Literal["info", "warning", "error"]) -> list[str]:
    """The channels that get something this serious, each once: ``slack://ops?from=warning`` gets no information."""
    parts = (channel.partition("?from=") for channel in notify)
    wanted = (name for name, _, least in parts if _SERIOUS.index(severity) >= _SERIOUS.index(least or "info"))
    return list(dict.fromkeys(wanted))


def _compose(world: World, entry: LedgerEntry, rollout: Rollout | None) -> Announcement:
    """The history is read only for what needs it: how long a version that was rolled back had had traffic."""
    history = world.store.ledger(rollout=entry.rollout) if rollout and entry.decision == "roll_back" else []
    return compose(entry, rollout, history, world.page)


def _post(world: World, channel: str, told: Announcement) -> None:
    found = world.channels.find(channel)
    if isinstance(found, Webhook):
        found.post(channel, told, world.now())
    elif isinstance(found, SlackBot):
        _post_in_thread(world, channel, found, told)
    else:
        found.post(channel, told)


def _post_in_thread(world: World, channel: str, slack: SlackBot, told: Announcement) -> None:
    """A thread is named by its first message, so whoever posts that one is alone in it."""
    if not told.thread:
        slack.post(channel, told, "")
        return
    thread = world.store.threads.take(channel, told.thread, world.now())
    if thread.root:
        try:
            slack.post(channel, told, thread.root)
        except LostThreadError as exc:
            world.store.threads.give_up(thread)
            raise TransientError(f"{exc}; the next message begins it anew") from None
        return
    try:
        root = slack.post(channel, told, "")
    except Exception:
        world.store.threads.give_up(thread)
        raise
    try:
        world.store.threads.begin(thread, root)
    except ConflictError:
        log.info(f"another delivery has begun the thread of {told.thread} in {channel} too")


def _mark(world: World, notice: Notice, channel: str, *, complete: bool) -> Notice:
    """Remember it, if nobody else has; then what they have remembered counts."""
    try:
        return world.store.mark_sent(notice, [channel] if channel else [], complete=complete)
    except ConflictError:
        log.info(f"another delivery has told people of {notice.id} too")
        return world.store.get_notice(notice.id) or notice


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
