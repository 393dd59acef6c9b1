"""One prediction that a user was given, asked once more of the candidate in its shadow, and compared.

Whatever happens here, no user notices: they were answered before, and the endpoint that is asked has no users. A failure is not tried
again: it is one answer of the candidate's, and Cloud Monitoring counts it as such.
"""

from __future__ import annotations

import json

from shared import log
from shared.actions.policies import policy_of
from shared.errors import NotFoundError, RefusedError, TransientError
from shared.events.prediction import PredictionLogged
from shared.policy.shadow import Shadow
from shared.rollout.comparing import Counts, compare_answers, disagree_in_all
from shared.rollout.mirroring import is_shadowing, place_of, why_not
from shared.rollout.names import blue_target, shadow_target
from shared.rollout.observed import TargetRef
from shared.rollout.record import Rollout
from shared.store.mirrored import Compared
from shared.wiring import World


def mirror_request(world: World, prediction: PredictionLogged) -> Counts | None:
    """The comparison's counts; None where it was not sent again or not answered."""
    target = TargetRef(prediction.project or world.project, prediction.region, prediction.endpoint)
    rollout = _shadowing(world, target)
    if rollout is None:
        log.info(f"ignored: nothing is in its shadow on {target}")
        return None
    shadow = policy_of(world, rollout).rollout.shadow
    if shadow is None:
        return None
    size = len(json.dumps([prediction.instances, prediction.parameters], ensure_ascii=False).encode())
    reason = why_not(shadow, rollout, prediction.request_id, prediction.at, prediction.deployed_model, size)
    if reason:
        log.info(f"ignored: request {prediction.request_id}: {reason}")
        return None
    place = place_of(rollout.id, prediction.request_id, prediction.at, shadow.per_minute)
    if not world.store.mirrored.take_place(place, prediction.request_id, world.now()):
        log.info(
            f"ignored: request {prediction.request_id}: the budget of its minute is used, or it is a second delivery"
        )
        return None
    counts = _ask(world, rollout, shadow, prediction)
    if counts is not None:
        world.store.mirrored.add(place, Compared(rollout.id, counts), world.now())
    return counts


def _shadowing(world: World, target: TargetRef) -> Rollout | None:
    busy = world.store.busy(target)
    blue = blue_target(target)
    if not busy and blue is not None:
        busy = world.store.busy(blue)  # the second endpoint of a pair is the first one's target
    stored = world.store.get_rollout(busy) if busy else None
    return stored.rollout if stored and is_shadowing(stored.rollout) else None


def _ask(world: World, rollout: Rollout, shadow: Shadow, prediction: PredictionLogged) -> Counts | None:
    try:
        answer = world.predictions.predict(
            shadow_target(rollout.id, rollout.target), prediction.instances, prediction.parameters
        )
    except NotFoundError as exc:
        log.info(f"ignored: the shadow of {rollout.id} is gone: {exc}")
        return None
    except RefusedError as exc:
        # The stable took this request: a candidate that does not expects something else.
        log.info(f"the shadow of {rollout.id} refused request {prediction.request_id}: {exc}")
        return disagree_in_all(shadow.compare, len(prediction.predictions))
    except TransientError as exc:
        log.info(f"the shadow of {rollout.id} failed on request {prediction.request_id}: {exc}")
        return None
    return compare_answers(shadow.compare, prediction.predictions, answer)
