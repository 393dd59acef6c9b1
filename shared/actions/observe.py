"""Observe mode: judge what others do on the endpoint, say what would have been done, write nothing to Vertex AI.

This is how a team comes to trust the system: for weeks it only tells, and its sentences can be compared with what people did.
"""

from __future__ import annotations

from dataclasses import replace

from shared.actions.record import Telling, record_transition
from shared.policy.schema import Policy
from shared.rollout.decide import Decision, Kind, decide
from shared.rollout.names import version_number
from shared.rollout.observed import DeployedModel, Endpoint
from shared.rollout.record import Phase, Rollout
from shared.rollout.steps import Step, Wait
from shared.store.store import StoredRollout
from shared.wiring import World

ACTOR = "advance_rollout (observing)"


def observe_rollout(
    world: World, stored: StoredRollout, policy: Policy, endpoint: Endpoint | None, event: str
) -> tuple[StoredRollout, Step]:
    """Let the record follow what is seen, and note a decision once when it changes."""
    followed = follow(stored.rollout, policy, endpoint, world)
    if followed != stored.rollout:
        telling = Telling("note", f"Observed: {followed.sentence}", event=event, actor=ACTOR)
        stored = record_transition(world, stored, followed, telling)
    evidence = world.store.evidence.of(stored.rollout.id)
    decision = decide(policy, stored.rollout, evidence, world.now())
    said = _would(stored.rollout, decision)
    if said and _what(said) != _what(stored.rollout.observed):
        telling = Telling("note", said, "info", decision.checks, event=event, actor=ACTOR)
        after = replace(stored.rollout, observed=said)
        if decision.kind is Kind.FINISH:
            after = after.moved(world.now(), phase=Phase.PROMOTED)
        stored = record_transition(world, stored, after, telling)
    return stored, Wait(said or decision.sentence)


def follow(rollout: Rollout, policy: Policy, endpoint: Endpoint | None, world: World) -> Rollout:
    """The rollout with phase and stage as the endpoint shows them; unchanged if it shows nothing new."""
    now = world.now()
    newer = _newer(rollout, endpoint) if rollout.phase is Phase.WATCHING else None
    if newer:
        sentence = f"the watch of v{rollout.version} ended with the first share of v{newer.version}"
        return rollout.moved(now, phase=Phase.PROMOTED, sentence=sentence)
    mine = (
        next((d for d in endpoint.deployed if (d.model, d.version) == (rollout.model, rollout.version)), None)
        if endpoint
        else None
    )
    if endpoint is None or mine is None:
        if rollout.phase is Phase.QUEUED:
            return rollout
        return rollout.moved(now, phase=Phase.SUPERSEDED, sentence=f"v{rollout.version} is no longer deployed")
    share = endpoint.share(mine.id)
    others = sorted(((s, d) for d, s in endpoint.split.items() if d != mine.id), reverse=True)
    stable = others[0][1] if others else rollout.stable_id
    if share == 100:
        phase, stage = Phase.WATCHING, len(policy.rollout.stages) - 1
    elif share:
        phase = Phase.CANARY
        stage = max((i for i, s in enumerate(policy.rollout.stages) if s.traffic <= share), default=0)
    elif rollout.phase in (Phase.CANARY, Phase.WATCHING):
        return rollout.moved(now, phase=Phase.ROLLED_BACK, sentence=f"v{rollout.version} has lost its traffic")
    else:
        phase, stage = Phase.DEPLOYING, -1
    if (rollout.phase, rollout.stage, rollout.deployed_id) == (phase, stage, mine.id):
        return rollout
    return rollout.moved(
        now,
        phase=phase,
        stage=stage,
        stage_since=now if stage >= 0 else None,
        deployed_id=mine.id,
        stable_id=stable,
        sentence=f"v{rollout.version} has {share} % of the traffic",
        observed="",
    )


def _newer(rollout: Rollout, endpoint: Endpoint | None) -> DeployedModel | None:
    """A newer version of the same model that has traffic."""
    number = version_number(rollout.version)
    for deployed in endpoint.deployed if endpoint else ():
        is_newer = deployed.model == rollout.model and version_number(deployed.version) > number
        if endpoint and is_newer and endpoint.share(deployed.id):
            return deployed
    return None


def _what(said: str) -> str:
    """What would have been done, without the numbers that led to it: those differ at every tick."""
    return said.partition(":")[0]


def _would(rollout: Rollout, decision: Decision) -> str:
    """The sentence of what would have been done; empty while there is nothing to do."""
    if rollout.phase is Phase.QUEUED:
        return f"Would have deployed v{rollout.version}"
    if rollout.phase is Phase.DEPLOYING:
        return f"Would have given v{rollout.version} its first share"
    verbs = {
        Kind.ADVANCE: "advanced",
        Kind.PROMOTE: "promoted",
        Kind.PAUSE: "paused",
        Kind.ROLL_BACK: "rolled back",
        Kind.FINISH: "ended the watch of",
    }
    return (
        f"Would have {verbs[decision.kind]} v{rollout.version}: {decision.sentence}" if decision.kind in verbs else ""
    )
