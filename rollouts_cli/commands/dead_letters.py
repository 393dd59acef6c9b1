"""``rollouts dead-letters``: what no handler could take."""

from __future__ import annotations

import base64
from contextlib import closing
from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, reported, say, say_json, width
from rollouts_cli.dead_letters import DeadLetter, DeadLetters
from rollouts_cli.layout import Column, Row, Table, cut
from shared.wiring import World

Redrive = Annotated[
    str | None, typer.Option(help="Publish this one again to the topic it came from.", metavar="ID", show_default=False)
]
Limit = Annotated[int, typer.Option(help="Look at so many at most.", min=1, max=1000)]

COLUMNS = (Column("ID", style="bold"), Column("TIME (UTC)"), Column("FUNCTION"), Column("TOPIC", drop=1))


def dead_letters(redrive: Redrive = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """Show the messages that were given up, with the reason; they stay where they are.

    With --redrive one is published again, with its original's id in the attribute redrive_of, and then taken off.
    """
    with reported(as_json), closing(DeadLetters(World().project)) as dead:
        if redrive is None:
            letters = dead.show(limit)
            if as_json:
                say_json({"dead_letters": [_json(one) for one in letters]})
            else:
                _show(letters)
            return
        letter = dead.redrive(redrive, limit)
    if as_json:
        say_json({"redriven": _json(letter)})
    else:
        say((f"{letter.id}: ", "bold"), f"published again to {_short(letter.topic)}, for {letter.function} to take")


def _show(letters: list[DeadLetter]) -> None:
    if not letters:
        say("there are no dead letters")
        return
    rows = [
        Row((one.id, f"{one.at:%Y-%m-%d %H:%M:%S}", one.function, _short(one.topic)), f"{one.reason}  {_data(one)}")
        for one in letters
    ]
    for line in Table(COLUMNS, "REASON, DATA", rows, wrap=True).lines(width()):
        say(*line)
    say((f"`rollouts dead-letters --redrive {letters[0].id}` publishes the first one again", "dim"))


def _short(topic: str) -> str:
    return topic.rpartition("/")[2]


def _data(letter: DeadLetter) -> str:
    """Its beginning; all of it is in the JSON."""
    try:
        return cut(letter.data.decode(), 200)
    except UnicodeDecodeError:
        return f"({len(letter.data)} bytes that are no text)"


def _json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter for programs; ``data`` in base64, as Pub/Sub writes it."""
    return {
        "id": letter.id,
        "original": letter.original or None,
        "at": letter.at.isoformat(),
        "function": letter.function,
        "topic": letter.topic or None,
        "reason": letter.reason,
        "attributes": letter.attributes,
        "data": base64.b64encode(letter.data).decode(),
    }
