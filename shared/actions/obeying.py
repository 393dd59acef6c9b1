"""Every command that may come: about a rollout, a model, all models, or a saving."""

from __future__ import annotations

from typing import Any

from shared.actions.access import operators
from shared.actions.adopt import adopt_model
from shared.actions.command import OF_MODELS, UNSAID, Command, admit, admit_named
from shared.actions.freezing import freeze, lift_budgets, unfreeze
from shared.actions.refusals import About
from shared.actions.steering import steer
from shared.actions.undoing import saving_of, undo_saving
from shared.errors import PermanentError
from shared.policy.schema import Policy
from shared.rollout.stops import ALL_MODELS, Stopped
from shared.wiring import World


def obey(world: World, command: Command, actor: str) -> dict[str, Any]:
    """Carry it out; what is the case afterwards."""
    if command.command == "adopt":
        model = command.model or ""
        admit(world, command, _policy(world, model), actor, About(model))
        return {"model": model, "sentences": adopt_model(world, model, actor)}
    if command.command in OF_MODELS:
        return _obey_stop(world, command, actor)
    if command.command == "undo-saving":
        return _obey_undo(world, command, actor)
    return steer(world, command, actor)


def _obey_undo(world: World, command: Command, actor: str) -> dict[str, Any]:
    """By the operators of the model that was saved on."""
    id_ = command.saving or ""
    model = saving_of(world, id_).model
    admit(world, command, _policy(world, model), actor, About(model))
    return {"id": id_, "sentence": undo_saving(world, id_, actor)}


def _obey_stop(world: World, command: Command, actor: str) -> dict[str, Any]:
    """Freeze or lift: one model by its operators, all of them by those whom Terraform names."""
    is_of_all = command.all or command.budget
    model = ALL_MODELS if is_of_all else command.model or ""
    named = [] if is_of_all else _policy(world, model).access.operators
    what = "all models" if is_of_all else model
    admit_named(world, command, operators(world, what, named), what, actor, About("" if is_of_all else model))
    if command.budget:
        sentence = lift_budgets(world, actor, command.reason)
    elif command.command == "freeze":
        sentence = freeze(
            world, Stopped(model, actor, command.reason or UNSAID, world.now(), command.until), command.id
        )
    else:
        sentence = unfreeze(world, model, actor, command.reason, command.id)
    return {"model": "" if is_of_all else model, "sentence": sentence}


def _policy(world: World, model: str) -> Policy:
    stored = world.store.policy(model)
    if stored is None:
        raise PermanentError(f"there is no policy for {model}; `rollouts apply` one first")
    return stored.policy
