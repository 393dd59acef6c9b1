"""Damaged filters, of subscriptions, of lists and of metrics: a predicate, or the named refusal; never anything else, never for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from local.pubsub.filter import FilterError
from local.pubsub.filter import compile_filter as of_subscriptions
from tests.fuzz.corpus import damaged, fuzzed, kept, no_hang
from vertex_emulator.errors import ApiError
from vertex_emulator.filters import compile_filter as of_lists
from vertex_emulator.monitoring.filter import parse as of_metrics

SEEDS = [data for _, data in kept("filters")]
TOKENS = (b"(", b")", b'"', b"\\", b" AND ", b" OR ", b"NOT ", b"-", b"attributes", b".", b":", b"=", b"!=", b">=", b"hasPrefix(", b",",
          b"labels.", b"metric.type", b"one_of(", b"starts_with(", b"\x00", b"\xff", b"(" * 300, b"NOT " * 300)  # fmt: skip


def subscriptions(text: str) -> Any:
    return of_subscriptions(text)({"kind": "alert"})


def lists(text: str) -> Any:
    return of_lists(text, ["display_name", "labels", "state", "create_time"])


LANGUAGES: tuple[Callable[[str], Any], ...] = (subscriptions, lists, of_metrics)


def survives(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for language in LANGUAGES:
        with no_hang(data):
            try:
                language(text)
            except (FilterError, ApiError) as refused:
                assert str(refused)


@pytest.mark.parametrize(("name", "data"), kept("filters"), ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_kept_is_survived(name: str, data: bytes) -> None:
    survives(data)


@fuzzed
@given(damaged(SEEDS, TOKENS))
def test_what_is_damaged_is_survived(data: bytes) -> None:
    survives(data)
