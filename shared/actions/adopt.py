"""Bringing endpoints that lived before us under a policy: of each the one model with all the traffic becomes the stable.

All targets are looked at before anything is written, so a policy of several regions is adopted whole or not at all. Labels are added, nothing
else is touched; what is ambiguous is refused with the choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.actions.policies import away_from, target_ref
from shared.actions.record import Telling, announce, ledger_entry
from shared.errors import PermanentError, RefusedError
from shared.rollout.copies import Place, is_copy, of_one_artifact, original
from shared.rollout.labels import TrialLabels, adopt_as, read_labels, write_labels
from shared.rollout.names import COPY_OF, copy_label, rollout_id
from shared.rollout.observed import DeployedModel, Endpoint, ModelVersion
from shared.rollout.record import Phase, Rollout
from shared.rollout.split import format_split
from shared.store.store import StoredPolicy
from shared.wiring import World


@dataclass(frozen=True)
class _Found:
    """What a target is adopted with."""

    index: int
    endpoint: Endpoint
    stable: DeployedModel
    """By its number at home."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the endpoint has to say beside the usual ones."""
    unlabelled: ModelVersion | None = None
    """The stable in the registry of its own place, where that does not say yet whose copy it is."""
    as_copy: str = ""
    """The label that it lacks."""

    @property
    def sentence(self) -> str:
        """What is told when it is done."""
        one, ref = self.stable, self.endpoint.ref
        copied = f"v{one.copied_as} in {ref.region}, " if one.copied_as else ""
        same = f"; v{one.copied_as} there has its artifact and is labelled as its copy" if self.unlabelled else ""
        return (
            f"Adopted endpoint {ref}: v{one.version} ({copied}deployed model {one.id}) has all the traffic and is the stable"
            f"{same}"
        )


def adopt_model(world: World, model: str, actor: str) -> list[str]:
    """Adopt every target of a model's policy; a sentence for each. RefusedError, with nothing written, where one of them cannot be."""
    stored = world.store.policy(model)
    if stored is None:
        raise PermanentError(f"there is no policy for {model}; `rollouts apply` one first")
    found: list[_Found | str] = []
    refused = []
    for index in range(len(stored.policy.targets)):
        try:
            found.append(_look(world, stored, index))
        except RefusedError as exc:
            refused.append(str(exc))
    if refused:
        raise RefusedError("; ".join(refused))
    return [one if isinstance(one, str) else _adopt(world, stored, one, actor) for one in found]


def _look(world: World, stored: StoredPolicy, index: int) -> _Found | str:
    """What there is to adopt, or why there is nothing to do; RefusedError where it cannot be."""
    ref = target_ref(world, stored.policy.targets[index])
    endpoint = world.endpoints.get(ref)
    if endpoint is None:
        if ref.endpoint.isdigit():
            raise RefusedError(
                f"endpoint {ref} cannot be adopted: it does not exist, and only Vertex AI can give an endpoint a number for its id;"
                " correct the policy"
            )
        return f"endpoint {ref} does not exist; the first rollout creates it"
    trial = read_labels(endpoint.labels)
    if trial.model not in ("", stored.model):
        raise RefusedError(
            f"endpoint {ref} cannot be adopted for {stored.model}: it belongs to the policy of {trial.model};"
            " if that one has given it up, take its vr- labels off the endpoint"
        )
    if trial.is_ours and not _broke_off(world, stored.model, endpoint, trial):
        return f"endpoint {ref} is under the policy of {trial.model} already"
    stable = choose_stable(endpoint, stored.model)
    if stable is None:
        return f"endpoint {ref} has no traffic; the first rollout takes it"
    home = away_from(world, stored.policy, ref)
    here = _Found(index, endpoint, stable)
    return here if home is None or stable.copied_as else _at_home(world, home, here)


def _at_home(world: World, home: Place, found: _Found) -> _Found:
    """The same with the number that its stable has where versions are registered: by what its version says, or has, there."""
    ref, stable = found.endpoint.ref, found.stable
    own = world.registry.version(ref.project, ref.region, stable.model, stable.registered)
    at_home = world.registry.versions(*home, stable.model)
    said = original(home, stable.model, own) if own else ""
    alike = of_one_artifact(own, at_home) if own and not is_copy(own) else []
    number = said or (alike[0].version if len(alike) == 1 else "")
    if number not in {v.version for v in at_home}:
        raise RefusedError(
            f"endpoint {ref} cannot be adopted: {_unknown(stable, own, said, alike, f'{home[0]}/{home[1]}')}; give the traffic to a copy"
            " (`gcloud ai models copy`) of a version that is there, or begin the targets with another one"
        )
    return replace(
        found,
        stable=replace(stable, version=number, copied_as=stable.registered),
        labels=adopt_as(stable.id, number),
        unlabelled=None if said else own,
        as_copy=copy_label(*home, stable.model, number),
    )


def _unknown(stable: DeployedModel, own: ModelVersion | None, said: str, alike: list[ModelVersion], home: str) -> str:
    """Why nobody can say which version at home a deployed model is."""
    name = f"its {stable.model} v{stable.registered}"
    if said:
        return f"{name} is a copy of v{said}, which is not in {home}"
    if own and is_copy(own):
        return f"{name} is a copy of {own.copied_from or own.labels[COPY_OF]}, and versions are registered in {home}"
    if alike:
        names = " and ".join(f"v{v.version}" for v in alike)
        return f"{name} may be {names} of {home}, which have one artifact"
    return f"nothing says which version of {home} {name} is"


def _adopt(world: World, stored: StoredPolicy, found: _Found, actor: str) -> str:
    """Write what is missing, the record last: whatever breaks off before it is finished by the next command."""
    endpoint, own = found.endpoint, found.unlabelled
    if own:
        world.registry.set_labels(own, {**own.labels, COPY_OF: found.as_copy})
    if stored.policy.mode == "enforce":
        trial = TrialLabels(
            model=stored.model,
            stable=found.stable.id,
            lag=stored.policy.rollout.metrics.lag,
            unnamed=stored.policy.alerts.unnamed,
        )
        world.endpoints.write_labels(endpoint, {**write_labels(endpoint.labels, trial), **found.labels})
    _record(world, stored, found, actor)
    return found.sentence


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


def _record(world: World, stored: StoredPolicy, found: _Found, actor: str) -> None:
    """A rollout that ended long ago: from now on its version is the champion that others are compared with."""
    now, ref, stable = world.now(), target_ref(world, stored.policy.targets[found.index]), found.stable
    rollout = Rollout(
        id=rollout_id(stored.model, stable.version, ref),
        model=stored.model,
        version=stable.version,
        target=ref,
        target_index=found.index,
        policy_version=stored.version,
        phase=Phase.PROMOTED,
        created_at=now,
        updated_at=now,
        phase_since=now,
        stage=len(stored.policy.rollout.stages) - 1,
        stage_since=now,
        deployed_id=stable.id,
        aliases_due=stored.policy.mode == "enforce",
        sentence=found.sentence,
    )
    entry = ledger_entry(rollout, Telling("adopt", found.sentence, actor=actor, after={stable.id: 100}), now)
    if world.store.create_rollout(rollout, entry):
        announce(world, replace(entry, id=f"{rollout.id}-0001"), notice=True)
