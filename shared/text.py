"""Text that others wrote, before it becomes part of a sentence of ours.

A reason or an alert's summary is shown in logs, the ledger, terminals, chats and pages. Each of them escapes what it must; what no sentence
needs is taken out here already, so that none can begin a line of its own, colour a terminal or turn the direction of what follows.
"""

from __future__ import annotations

_JOINERS = "\u200c\u200d"
"""Invisible, and part of words and of pictures in some scripts."""


def one_line(text: str) -> str:
    """On one line, single spaces, without control characters, directions of writing and halves of characters."""
    if text.isprintable():  # nearly always, and then a rollback need not look at each character
        return " ".join(text.split())
    return " ".join("".join(c if c.isprintable() or c in _JOINERS else " " for c in text).split())
