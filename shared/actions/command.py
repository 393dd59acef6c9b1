"""What a person may tell a rollout to do, once it is known who the person is.

A command has an id of its own and is obeyed once: what is sent again, by a stranger who overheard it or by a proxy, is refused and recorded.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.actions.access import ForbiddenError, Named, operators
from shared.actions.refusals import About, note_refusal
from shared.errors import PermanentError, RefusedError
from shared.events.wire import decode_object
from shared.policy.schema import Policy
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


OF_MODELS = ("freeze", "unfreeze")


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
    wanted = "model" if command.command in ("adopt", *OF_MODELS) else "rollout"
    wanted = "saving" if command.command == "undo-saving" else wanted
    if command.budget and command.command != "unfreeze":
        raise PermanentError(f"the command is not understood: {command.command} is not of a budget; unfreeze is")
    is_of_all = command.command in OF_MODELS and (command.all or command.budget)
    if getattr(command, wanted) is None and not is_of_all:
        raise PermanentError(f"the command is not understood: {command.command} needs {wanted!r}")
    return command


def admit(
    world: World, command: Command, policy: Policy, actor: str, about: About, instead: tuple[str, ...] = ()
) -> None:
    """``instead`` of the operators: those who may approve need not be operators, and not every operator may approve."""
    who = operators(world, policy.model, policy.access.operators)
    if instead:
        who = Named(instead, f"those who may approve the next stage of {policy.model} (approval.by in its policy)")
    admit_named(world, command, who, policy.model, actor, about)


def admit_named(world: World, command: Command, who: Named, what: str, actor: str, about: About) -> None:
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
