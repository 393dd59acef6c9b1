"""``rollouts explain``: why a rollout is where it is, what happens next, and when."""

from __future__ import annotations

from rollouts_cli.commands.get import RolloutId
from rollouts_cli.console import AsJson, reported, say, say_json, width
from rollouts_cli.layout import fold
from rollouts_cli.lookup import find_rollout, opened_store
from shared import clock
from shared.actions.look import look
from shared.view.explain import TITLES, due_at, explained_json
from shared.view.explain import explain as explained
from shared.view.standing import rollout_json

INDENT = 2


def explain(rollout: RolloutId, as_json: AsJson = False) -> None:
    """Say in sentences why a rollout is where it is, what the numbers say, what happens next and when, and what you can do.

    Every sentence about the past is an entry of the ledger; `--json` names it. What may come is from the policy that the rollout keeps and
    the evidence of this moment.
    """
    now = clock.now()
    with reported(as_json), opened_store() as store:
        seen = look(store, find_rollout(store, rollout), now)
        stops = store.stops(seen.rollout.model)
    sentences = explained(seen, stops, now)
    if as_json:
        due = due_at(seen)
        say_json(
            {
                "rollout": rollout_json(seen.rollout, seen.policy, now),
                "sentences": explained_json(sentences),
                "due_at": due.isoformat() if due else None,
                "next": seen.following,
            }
        )
        return
    columns = width()
    about = ""
    for sentence in sentences:
        if sentence.about != about:
            say((TITLES[sentence.about], "bold"))
            about = sentence.about
        for number, line in enumerate(fold(sentence.text, None if columns is None else columns - INDENT - 2)):
            say(" " * INDENT + ("- " if number == 0 else "  ") + line)
