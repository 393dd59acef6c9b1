"""What a person may tell a rollout to do, once it is known who the person is.

A command has an id of its own and is obeyed once: what is sent again, by a stranger who overheard it or by a proxy, is refused and recorded.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.actions.access import ForbiddenError, Named, operators
from shared.actions.adopt import adopt_model
from shared.actions.alerting import ask_rollback
from shared.actions.amending import retry, set_policy
from shared.actions.approving import approve
from shared.actions.freezing import freeze, lift_budgets, unfreeze
from shared.actions.policies import policy_of
from shared.actions.promoting import promote
from shared.actions.record import Telling, publish_due, record_transition
from shared.actions.refusals import About, note_refusal
from shared.actions.undoing import saving_of, undo_saving
from shared.errors import PermanentError, RefusedError
from shared.events.wire import decode_object
from shared.policy.schema import Policy
from shared.rollout.record import Hold, Phase, Rollout, Stop
from shared.rollout.stages import approvers
from shared.rollout.stops import ALL_MODELS, Stopped
from shared.store.store import StoredRollout
from shared.text import one_line
from shared.wiring import World

UNSAID = "no reason was given"

REMEMBERED = timedelta(days=2)
"""How long the id of a command is: longer than any ID token is valid (an hour), without which it could not be sent again."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Command(BaseModel):
    """``{"id": "...", "command": "pause", "rollout": "...", "reason": "..."}``; ``adopt`` names a model instead of a rollout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
    """Chosen by the caller, another for every command."""
    command: Literal[
        "pause",
        "resume",
        "abort",
        "promote",
        "approve",
        "adopt",
        "freeze",
        "unfreeze",
        "retry",
        "set-policy",
        "undo-saving",
    ]
    rollout: Name | None = None
    model: Name | None = None
    """Of ``adopt``, ``freeze`` and ``unfreeze``."""
    all: bool = False
    """Instead of a model: a freeze of everything."""
    budget: bool = False
    """Of ``unfreeze``, instead of a model: what a spent budget of Cloud Billing has stopped."""
    until: AwareDatetime | None = None
    """When a freeze ends by itself."""
    version: Annotated[int, Field(ge=1)] | None = None
    """Of ``set-policy``: the policy's; without it the present one."""
    saving: Name | None = None
    """Of ``undo-saving``: its id."""
    traffic: Annotated[int, Field(ge=1, le=100)] | None = None
    """Of ``approve`` and ``promote``: the share that is meant, so that nobody agrees to the stage after it."""
    again: bool = False
    """Of ``retry``: also what was taken back, or gave way to a newer version."""
    reason: Annotated[str, StringConstraints(max_length=500), AfterValidator(one_line)] = ""


_OF_MODELS = ("freeze", "unfreeze")


class ReplayedError(RefusedError):
    """The same command was taken before."""

    kind = "replayed"


def parse_command(body: bytes) -> Command:
    """PermanentError with every mistake in one sentence."""
    try:
        command = Command.model_validate(decode_object(body, "the command's body"))
    except ValidationError as exc:
        mistakes = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in exc.errors()[:5])
        raise PermanentError(f"the command is not understood: {one_line(mistakes)[:1000]}") from None
    wanted = "model" if command.command in ("adopt", *_OF_MODELS) else "rollout"
    wanted = "saving" if command.command == "undo-saving" else wanted
    if command.budget and command.command != "unfreeze":
        raise PermanentError(f"the command is not understood: {command.command} is not of a budget; unfreeze is")
    is_of_all = command.command in _OF_MODELS and (command.all or command.budget)
    if getattr(command, wanted) is None and not is_of_all:
        raise PermanentError(f"the command is not understood: {command.command} needs {wanted!r}")
    return command


def obey(world: World, command: Command, actor: str) -> dict[str, Any]:
    """Carry it out; what is the case afterwards."""
    if command.command == "adopt":
        model = command.model or ""
        _admit(world, command, _policy(world, model), actor, About(model))
        return {"model": model, "sentences": adopt_model(world, model, actor)}
    if command.command in _OF_MODELS:
        return _obey_stop(world, command, actor)
    if command.command == "undo-saving":
        return _obey_undo(world, command, actor)
    stored = world.store.get_rollout(command.rollout or "")
    if stored is None:
        raise PermanentError(f"there is no rollout {command.rollout}; `rollouts list` shows the open ones")
    rollout = stored.rollout
    policy = policy_of(world, rollout)
    about = About(rollout.model, rollout.id)
    _admit(world, command, policy, actor, about, approvers(policy, rollout) if command.command == "approve" else ())
    if command.command == "retry":
        return _answer(retry(world, stored, command.reason, actor, again=command.again).rollout)
    if not rollout.phase.is_open:
        raise RefusedError(f"{rollout.id} has ended: {rollout.sentence}")
    if policy.mode == "observe" and command.command in ("abort", "promote"):
        raise RefusedError(
            f"{rollout.id} is only observed (mode: observe): whoever moves its traffic ends it; the record follows what is seen"
        )
    if command.command == "approve":
        after = approve(world, stored, policy, command.traffic, command.reason, actor).rollout
    elif command.command == "promote":
        after = promote(world, stored, policy, command.traffic, command.reason, actor).rollout
    elif command.command == "set-policy":
        after = set_policy(world, stored, command.version, command.reason, actor).rollout
    else:
        after = _OBEY[command.command](world, stored, command.reason, actor).rollout
    return _answer(after)


def _answer(after: Rollout) -> dict[str, Any]:
    return {"rollout": after.id, "phase": after.phase.value, "sentence": after.sentence}


def _obey_undo(world: World, command: Command, actor: str) -> dict[str, Any]:
    """By the operators of the model that was saved on."""
    id_ = command.saving or ""
    model = saving_of(world, id_).model
    _admit(world, command, _policy(world, model), actor, About(model))
    return {"id": id_, "sentence": undo_saving(world, id_, actor)}


def _obey_stop(world: World, command: Command, actor: str) -> dict[str, Any]:
    """Freeze or lift: one model by its operators, all of them by those whom Terraform names."""
    is_of_all = command.all or command.budget
    model = ALL_MODELS if is_of_all else command.model or ""
    named = [] if is_of_all else _policy(world, model).access.operators
    what = "all models" if is_of_all else model
    _admit_named(world, command, operators(world, what, named), what, actor, About("" if is_of_all else model))
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


def _admit(
    world: World, command: Command, policy: Policy, actor: str, about: About, instead: tuple[str, ...] = ()
) -> None:
    """``instead`` of the operators: those who may approve need not be operators, and not every operator may approve."""
    who = operators(world, policy.model, policy.access.operators)
    if instead:
        who = Named(instead, f"those who may approve the next stage of {policy.model} (approval.by in its policy)")
    _admit_named(world, command, who, policy.model, actor, about)


def _admit_named(world: World, command: Command, who: Named, what: str, actor: str, about: About) -> None:
    """Whether this person may command, and this command is a new one; what is refused is written down."""
    try:
        _refuse_stranger(who, what, actor)
        _take_once(world, command)
    except (ForbiddenError, ReplayedError) as exc:
        note_refusal(world, exc.kind, str(exc), about, actor)
        raise


def _refuse_stranger(who: Named, what: str, actor: str) -> None:
    """Google signs a token for everybody in the world, so who may command is always somebody named."""
    if not who.people:
        raise ForbiddenError(
            f"nobody may command {what}: name operators in access.operators of its policy, or for all in COMMAND_OPERATORS"
        )
    if actor.casefold() not in {one.casefold() for one in who.people}:
        raise ForbiddenError(f"{actor} is not among {who.words}")


def _take_once(world: World, command: Command) -> None:
    """The id is taken before anything is done, and stays taken whatever comes of it: who lost the answer looks, and decides anew."""
    if not world.store.mark_once("command", command.id, world.now(), REMEMBERED):
        raise ReplayedError(
            f"command {command.id} was taken before; look what became of it, and send a new one if it is still wanted"
        )


def _pause(world: World, stored: StoredRollout, reason: str, actor: str) -> StoredRollout:
    if stored.rollout.hold:
        return stored
    after = stored.rollout.moved(world.now(), hold=Hold(reason or UNSAID, actor, world.now()))
    return _told(world, stored, after, "pause", _sentence(f"{actor} paused v{stored.rollout.version}", reason), actor)


def _resume(world: World, stored: StoredRollout, reason: str, actor: str) -> StoredRollout:
    if stored.rollout.hold is None:
        return stored
    now, consent = world.now(), stored.rollout.consent
    is_unanswered = consent is not None and not consent.given_by
    # Who resumes what nobody approved in time has it asked for again; otherwise it would pause at once.
    after = stored.rollout.moved(
        now,
        hold=None,
        resumed_at=now,
        consent=None if is_unanswered else consent,
        busy_since=None,
        resizes_failed=0,
    )
    done = _told(world, stored, after, "resume", _sentence(f"{actor} resumed v{stored.rollout.version}", reason), actor)
    publish_due(world, [stored.rollout.id])
    return done


def _abort(world: World, stored: StoredRollout, reason: str, actor: str) -> StoredRollout:
    rollout = stored.rollout
    if rollout.phase is Phase.WATCHING and not rollout.stable_id:
        raise RefusedError(f"{rollout.id} is the first of its model: nothing else can take its traffic")
    done = stored
    if rollout.stop is None:
        # Otherwise it is said already, and only what follows from it may be missing.
        stop = Stop(Phase.ROLLED_BACK, reason or UNSAID, actor, world.now())
        sentence = _sentence(f"{actor} aborts v{rollout.version}", reason)
        done = _told(world, stored, rollout.moved(world.now(), stop=stop), "roll_back", sentence, actor)
    if _has_traffic(rollout):
        # At once, without waiting for a tick.
        ask_rollback(world, done.rollout, _sentence(f"aborted by {actor}", reason))
    publish_due(world, [rollout.id])
    return done


def _sentence(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what


def _has_traffic(rollout: Rollout) -> bool:
    return rollout.phase in (Phase.CANARY, Phase.WATCHING)


def _told(
    world: World, before: StoredRollout, after: Rollout, decision: str, sentence: str, actor: str
) -> StoredRollout:
    return record_transition(
        world, before, after, Telling(decision, sentence, "warning" if decision == "roll_back" else "info", actor=actor)
    )


_OBEY = {"pause": _pause, "resume": _resume, "abort": _abort}
