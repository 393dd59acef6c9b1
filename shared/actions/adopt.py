"""Bringing an endpoint that lived before us under a policy: its one model with all the traffic becomes the stable.

Labels are added, nothing else is touched; what is ambiguous is refused with the choices.
"""

from __future__ import annotations

from dataclasses import replace

from shared.actions.policies import away_from, target_ref
from shared.actions.record import Telling, announce, ledger_entry
from shared.errors import PermanentError, RefusedError
from shared.rollout.labels import TrialLabels, read_labels, write_labels
from shared.rollout.names import rollout_id
from shared.rollout.observed import DeployedModel, Endpoint
from shared.rollout.record import Phase, Rollout
from shared.rollout.split import format_split
from shared.store.store import StoredPolicy
from shared.wiring import World


def adopt_model(world: World, model: str, actor: str) -> list[str]:
    """Adopt every target of a model's policy; a sentence for each."""
    stored = world.store.policy(model)
    if stored is None:
        raise PermanentError(f"there is no policy for {model}; `rollouts apply` one first")
    return [_adopt(world, stored, index, actor) for index in range(len(stored.policy.targets))]


def _adopt(world: World, stored: StoredPolicy, index: int, actor: str) -> str:
    ref = target_ref(world, stored.policy.targets[index])
    endpoint = world.endpoints.get(ref)
    if endpoint is None:
        return f"endpoint {ref} does not exist; the first rollout creates it"
    trial = read_labels(endpoint.labels)
    if trial.is_ours and not _broke_off(world, stored.model, endpoint, trial):
        return f"endpoint {ref} is under the policy of {trial.model} already"
    stable = choose_stable(endpoint, stored.model)
    if stable is None:
        return f"endpoint {ref} has no traffic; the first rollout takes it"
    home = away_from(world, stored.policy, ref)
    if home and not stable.copied_as:
        return (
            f"endpoint {ref} is not adopted: nothing says of which version of {home[0]}/{home[1]} its v{stable.version} is a copy; "
            "name an endpoint that has no traffic, or a new one"
        )
    if stored.policy.mode == "enforce":
        labels = TrialLabels(
            model=stored.model,
            stable=stable.id,
            lag=stored.policy.rollout.metrics.lag,
            unnamed=stored.policy.alerts.unnamed,
        )
        world.endpoints.write_labels(endpoint, write_labels(endpoint.labels, labels))
    sentence = (
        f"Adopted endpoint {ref}: v{stable.version} (deployed model {stable.id}) has all the traffic and is the stable"
    )
    _record(world, stored, index, stable, sentence, actor)
    return sentence


def _broke_off(world: World, model: str, endpoint: Endpoint, trial: TrialLabels) -> bool:
    """Whether an adoption wrote the labels and then not its record; the next one writes what is missing."""
    stable = endpoint.find(trial.stable)
    if trial.model != model or trial.rollout or stable is None:
        return False
    return world.store.get_rollout(rollout_id(model, stable.version, endpoint.ref)) is None


def choose_stable(endpoint: Endpoint, model: str) -> DeployedModel | None:
    """The one model with all the traffic; RefusedError with the choices where that is not one of the policy's model."""
    holders = [d for d in endpoint.deployed if endpoint.share(d.id)]
    if not holders:
        return None
    if len(holders) > 1:
        names = {d.id: f"{d.model} v{d.version} ({d.id})" for d in endpoint.deployed}
        raise RefusedError(
            f"endpoint {endpoint.ref} cannot be adopted: several models share its traffic ({format_split(endpoint.split, names)}); "
            "give all of it to the one that is to be the stable, then adopt again"
        )
    if holders[0].model != model:
        raise RefusedError(
            f"endpoint {endpoint.ref} cannot be adopted for {model}: its traffic goes to {holders[0].model} v{holders[0].version}; "
            f"name that model in the policy, or give the traffic to a version of {model}"
        )
    return holders[0]


def _record(world: World, stored: StoredPolicy, index: int, stable: DeployedModel, sentence: str, actor: str) -> None:
    """A rollout that ended long ago: from now on its version is the champion that others are compared with."""
    now, ref = world.now(), target_ref(world, stored.policy.targets[index])
    rollout = Rollout(
        id=rollout_id(stored.model, stable.version, ref),
        model=stored.model,
        version=stable.version,
        target=ref,
        target_index=index,
        policy_version=stored.version,
        phase=Phase.PROMOTED,
        created_at=now,
        updated_at=now,
        phase_since=now,
        stage=len(stored.policy.rollout.stages) - 1,
        stage_since=now,
        deployed_id=stable.id,
        aliases_due=stored.policy.mode == "enforce",
        sentence=sentence,
    )
    entry = ledger_entry(rollout, Telling("adopt", sentence, actor=actor, after={stable.id: 100}), now)
    if world.store.create_rollout(rollout, entry):
        announce(world, replace(entry, id=f"{rollout.id}-0001"), notice=True)
