"""Requests that Vertex AI has logged, published as if their callers had.

Every minute is read once it is old enough to be in the log. One that is published a second time, after a crash, finds its requests sent
again already.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from shared import log, topics
from shared.actions.policies import policy_of, target_of
from shared.errors import RolloutsError
from shared.events.prediction import prediction_logged_message
from shared.events.request_log import prediction_of
from shared.policy.shadow import Shadow
from shared.rollout.mirroring import is_sampled, is_shadowing
from shared.rollout.names import green_target
from shared.rollout.record import Rollout
from shared.wiring import World

MINUTE = timedelta(minutes=1)
LATE = timedelta(minutes=2)
"""A request is in the log within this time."""
FARTHEST = timedelta(minutes=15)
"""What an outage longer than this has kept from being read stays unread: there are newer requests."""
KEPT = timedelta(hours=1)
MOST = 20_000
"""Rows of one query."""


def replay_requests(world: World) -> int:
    """How many requests were published, over all shadows whose policy reads the log."""
    published = 0
    for stored in world.store.unsettled_rollouts():
        if not is_shadowing(stored.rollout):
            continue
        try:
            published += _replay(world, stored.rollout)
        except RolloutsError as exc:
            log.warning(f"the requests for the shadow of {stored.rollout.id} are left for the next time: {exc}")
    return published


def _replay(world: World, rollout: Rollout) -> int:
    policy = policy_of(world, rollout)
    shadow, target = policy.rollout.shadow, target_of(world, policy, rollout.target)
    if shadow is None or shadow.source != "logged" or target is None or target.request_logging is None:
        return 0
    due = _due(world, rollout)
    if not due:
        return 0
    ref, begin, end = rollout.target, due[0], due[-1] + MINUTE
    answering = [ref, green_target(ref)] if policy.rollout.blue_green else [ref]
    limit, table = _limit(shadow, len(due)), target.request_logging.table
    rows = [row for one in answering for row in world.request_logs.read(table, one.endpoint, begin, end, limit)]
    found = [prediction_of(row, ref.project, ref.region, ref.endpoint) for row in rows]
    wanted = [
        p for p in found if p and p.deployed_model == rollout.stable_id and is_sampled(p.request_id, shadow.sample)
    ]
    messages = [prediction_logged_message(p) for p in wanted if _fits(shadow, len(prediction_logged_message(p)))]
    world.publisher.publish_all(topics.PREDICTION_LOGGED, messages)
    for minute in due:
        world.store.mark_once("replayed", _mark(rollout, minute), world.now(), KEPT)
    log.info(f"published {len(messages)} of {len(rows)} logged requests for the shadow of {rollout.id}")
    return len(messages)


def _due(world: World, rollout: Rollout) -> list[datetime]:
    """The minutes that are old enough and not marked; from the first to the last of them is read at once."""
    now, since = world.now(), rollout.stage_since or world.now()
    minute = max(since, now - FARTHEST).replace(second=0, microsecond=0)
    minutes = []
    while minute + MINUTE + LATE <= now:
        if not world.store.is_marked("replayed", _mark(rollout, minute), now):
            minutes.append(minute)
        minute += MINUTE
    return minutes


def _mark(rollout: Rollout, minute: datetime) -> str:
    return f"{rollout.id}~{int(minute.timestamp()) // 60}"


def _limit(shadow: Shadow, minutes: int) -> int:
    """Enough that the sample of them fills the budget."""
    return min(math.ceil(2 * shadow.per_minute * minutes / max(shadow.sample, 0.001)), MOST)


def _fits(shadow: Shadow, size: int) -> bool:
    """What is too large for the shadow is not even published; an answer may be as large as its request."""
    return size <= 2 * shadow.payload_kib * 1024
