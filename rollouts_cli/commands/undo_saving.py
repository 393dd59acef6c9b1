"""``rollouts undo-saving``: put back the replicas that an audit has lowered."""

from __future__ import annotations

from typing import Annotated

import typer

from rollouts_cli.author import author_or_refuse
from rollouts_cli.console import AsJson, reported, say, say_json
from rollouts_cli.lookup import opened_store

Id = Annotated[str, typer.Argument(help="As the message and the ledger name it.", metavar="ID")]

Author = Annotated[
    str | None, typer.Option("--author", envvar="ROLLOUTS_AUTHOR", help="Who puts it back.", metavar="MAIL")
]


def undo_saving(id: Id, author: Author = None, as_json: AsJson = False) -> None:  # noqa: A002
    """Put the minimum of replicas back to what it was, with your own credentials; the audit does not lower it again."""
    from shared.actions.saving import undo_saving as undo
    from shared.wiring import World

    with reported(as_json), opened_store() as store:
        world = World()
        world.store = store
        sentence = undo(world, id, author_or_refuse(author))
    if as_json:
        say_json({"id": id, "sentence": sentence})
    else:
        say(sentence)
