"""Text from outside is text, whatever it is."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.notify.markup import cut, for_card, for_slack

_ENTITIES = re.compile(r"&(?:amp|lt|gt);")
_ACTIVE = re.compile(r"[<>&*~`]")
_TEXT = st.text(st.sampled_from("<>&*_~`@#! ab\n\u202e|:/1é"), max_size=200) | st.text(max_size=200)


@given(_TEXT, st.integers(20, 300))
def test_nothing_in_slack_begins_a_style_a_link_or_a_mention(text: str, most: int) -> None:
    shown = for_slack(text, most)
    assert len(shown) <= most
    assert not _ACTIVE.search(_ENTITIES.sub("", shown))
    assert not re.search(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", shown)


@given(_TEXT)
def test_nothing_in_a_card_is_a_tag(text: str) -> None:
    assert not re.search(r"[<>]|&(?!(?:amp|lt|gt);)", for_card(text))


@given(st.text(st.sampled_from("<>& abc"), max_size=100))
def test_what_is_shown_is_what_was_written(text: str) -> None:
    """But for the spaces, which are one."""
    plain = " ".join(text.split())
    assert unescape(for_slack(text)) == plain
    assert unescape(for_card(text)) == plain


@pytest.mark.parametrize("name", ["error_rate", "tokens_per_image", "arr-coc-relevance v4", "p95 12.4% > 1%"])
def test_our_own_names_and_numbers_are_left_alone(name: str) -> None:
    assert unescape(for_slack(name)) == name


def test_a_cut_text_says_so() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert for_slack("<" * 40, 40).endswith("&lt;…")
