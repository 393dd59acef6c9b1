"""Text from outside, made harmless for the markup of each chat.

Reasons, names and summaries of alerts are written by others; a summary that could mention everybody, or show one address and lead to
another, would be a message of theirs under our name. Slack's mrkdwn can escape three characters only, so what begins and ends its styles is
replaced by a character that looks the same.
"""

from __future__ import annotations

import re
from html import escape

from shared.text import one_line

_LOOK_ALIKE = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "\u2018"})
_EDGE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""An underscore within a word, as in ``error_rate``, is one; at a word's edge it would begin or end italics."""


def for_slack(text: str, most: int = 2_900) -> str:
    """For mrkdwn with ``verbatim``, and for the text of a notification; Slack takes 3,000 characters in a section."""
    plain = _EDGE.sub("\u02cd", one_line(text).translate(_LOOK_ALIKE))
    # Cut before escaping: a cut through "&lt;" would leave half of it.
    while True:
        escaped = escape(plain, quote=False)
        if len(escaped) <= most:
            return escaped
        plain = plain[: max(1, len(plain) - (len(escaped) - most) - 2)].rstrip("…") + "…"


def for_card(text: str, most: int = 3_000) -> str:
    """For the widgets of a card, which read a little HTML."""
    return escape(cut(one_line(text), most), quote=False)


def cut(text: str, most: int) -> str:
    """At most so many characters, with a sign where some are gone."""
    return text if len(text) <= most else text[: most - 1] + "…"
