"""``rollouts dead-letters list | show | redrive | discard``: what no handler could take."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, Part, complain, printable, reported, say, say_json, width
from rollouts_cli.dead_letters import Choice, DeadLetter, DeadLetters, Outcome
from rollouts_cli.layout import Column, Row, Table, cut
from shared.errors import PermanentError
from shared.wiring import World

app = typer.Typer(
    help="What no function could take: look at it, publish it again, or let go of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Id = Annotated[str, typer.Argument(help="Of the dead letter, as list shows it.", metavar="ID", show_default=False)]
Ids = Annotated[
    list[str] | None, typer.Argument(help="Of dead letters, as list shows them.", metavar="ID", show_default=False)
]
Function = Annotated[str, typer.Option(help="Only those that this function could not take.", show_default=False)]
AllOf = Annotated[
    str, typer.Option("--function", help="Instead of IDs: all that this function could not take.", show_default=False)
]
Limit = Annotated[int, typer.Option(help="Look at so many at most.", min=1, max=10_000)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

COLUMNS = (Column("ID", style="bold"), Column("TIME (UTC)"), Column("FUNCTION"), Column("TOPIC", drop=1))


@app.command(
    "list",
    short_help="List them with their reasons.",
    epilog="Example: rollouts dead-letters list --function roll_back",
)
def list_letters(function: Function = "", limit: Limit = 100, as_json: AsJson = False) -> None:
    """List the messages that were given up, with the reason; they stay where they are."""
    with reported(as_json), _opened() as dead:
        letters = [one for one in dead.look(limit) if function in ("", one.function)]
        if as_json:
            say_json({"dead_letters": [_json(one) for one in letters]})
        else:
            _list(letters)


@app.command(short_help="Show all of one.", epilog="Example: rollouts dead-letters show 1234567890")
def show(id: Id, limit: Limit = 1000, as_json: AsJson = False) -> None:  # noqa: A002
    """Show one with all that is known of it; it stays where it is."""
    with reported(as_json), _opened() as dead:
        letters = dead.look(limit, {id})
        letter = next((one for one in letters if one.id == id), None)
        if letter is None:
            raise PermanentError(
                f"there is no dead letter {id} among the {len(letters)} that were looked at; `rollouts dead-letters list` shows them"
            )
        if as_json:
            say_json(_json(letter))
        else:
            _show(letter)


@app.command(short_help="Publish some again.", epilog="Example: rollouts dead-letters redrive 1234567890")
def redrive(ids: Ids = None, function: AllOf = "", limit: Limit = 1000, as_json: AsJson = False) -> None:
    """Publish some again to the topic they came from, then take them off. Mend first what the reason names."""
    with reported(as_json), _opened() as dead:
        _tell(dead.redrive(_choice(ids, function), limit), "redriven", as_json)


@app.command(short_help="Let go of some for good.", epilog="Example: rollouts dead-letters discard 1234567890")
def discard(
    ids: Ids = None, function: AllOf = "", yes: Yes = False, limit: Limit = 1000, as_json: AsJson = False
) -> None:
    """Let go of some for good; the JSON of what was let go of has all of it."""
    with reported(as_json):
        choice = _choice(ids, function)
        named = ", ".join(choice.ids) or f"all dead letters of {function}"
        if not yes and (as_json or not typer.confirm(f"Discard {printable(named)}? Nobody will see it again.")):
            raise PermanentError("nothing was discarded; --yes discards without asking")
        with _opened() as dead:
            _tell(dead.discard(choice, limit), "discarded", as_json)


@contextmanager
def _opened() -> Iterator[DeadLetters]:
    with closing(DeadLetters(World().project)) as dead:
        yield dead


def _choice(ids: list[str] | None, function: str) -> Choice:
    if bool(ids) == bool(function):
        raise PermanentError(
            "say which: IDs as `rollouts dead-letters list` shows them, or --function NAME for all of one function"
        )
    return Choice(tuple(ids or ()), function.replace("-", "_"))


def _tell(outcomes: Iterator[Outcome], what: str, as_json: bool) -> None:
    """Each as it is done; exit code 1 when one of them could not be."""
    done: list[Outcome] = []
    refused: list[Outcome] = []
    for outcome in outcomes:
        (refused if outcome.why_not else done).append(outcome)
        if as_json:
            continue
        if outcome.why_not:
            complain(("error: ", "bold red"), printable(outcome.why_not))
        elif outcome.letter:
            say(*_done(outcome.letter, what))
    if as_json:
        letters = [_json(one.letter) for one in done if one.letter]
        say_json({what: letters, "refused": [{"id": one.id, "error": one.why_not} for one in refused]})
    elif not done and not refused:
        say("there are no such dead letters")
    if refused:
        raise typer.Exit(1)


def _done(letter: DeadLetter, what: str) -> tuple[Part, ...]:
    if what == "discarded":
        return ((f"{letter.id}: ", "bold"), "discarded")
    return (
        f"{letter.id}: ",
        "bold",
    ), f"published again to {_short(letter.topic)}, for {printable(letter.function)} to take"


def _list(letters: list[DeadLetter]) -> None:
    if not letters:
        say("there are no dead letters")
        return
    rows = [
        Row(
            (one.id, f"{one.at:%Y-%m-%d %H:%M:%S}", one.function, _short(one.topic)),
            f"{one.reason}  {cut(_data(one), 200)}",
        )
        for one in letters
    ]
    for line in Table(COLUMNS, "REASON, DATA", rows, wrap=True).lines(width()):
        say(*line)
    say(
        (
            f"`rollouts dead-letters show {letters[0].id}` shows all of the first one, `redrive` publishes it again",
            "dim",
        )
    )


def _show(letter: DeadLetter) -> None:
    lines = {
        "Letter": letter.id,
        "Original": letter.original or "not known",
        "Kept": f"{letter.at:%Y-%m-%d %H:%M:%S} UTC",
        "Function": letter.function or "not known",
        "Topic": letter.topic or "none: it came over HTTPS",
        "Reason": letter.reason,
        "Redriven": f"{letter.redrives} times before" if letter.redrives else "never",
        **{f"  {key}": value for key, value in sorted(letter.attributes.items())},
    }
    label = max(len(key) for key in lines) + 2
    for key, value in lines.items():
        say((f"{printable(key):<{label}}", "dim"), printable(value))
    say(("Data", "dim"))
    for line in _data(letter).splitlines() or ["(none)"]:
        say("  ", printable(line))


def _short(topic: str) -> str:
    return topic.rpartition("/")[2]


def _data(letter: DeadLetter) -> str:
    """As text; all of its bytes are in the JSON."""
    try:
        text = letter.data.decode()
    except UnicodeDecodeError:
        return f"({len(letter.data)} bytes that are no text)"
    return text


def _json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter for programs; ``data`` in base64, as Pub/Sub writes it."""
    return {
        "id": letter.id,
        "original": letter.original or None,
        "at": letter.at.isoformat(),
        "function": letter.function,
        "topic": letter.topic or None,
        "reason": letter.reason,
        "redrives": letter.redrives,
        "attributes": letter.attributes,
        "data": base64.b64encode(letter.data).decode(),
    }
