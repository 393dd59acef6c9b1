"""Inputs that are kept (``tests/data/fuzz``), and inputs made from them by small damage, as a fuzzer does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FOLDER = Path(__file__).parents[1] / "data" / "fuzz"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))
"""Of each target; `make soak` takes many more."""
SECONDS = 10.0
"""Of this thread's processor: what takes longer hangs. A good input takes milliseconds, and a busy machine costs no processor time."""
Test = TypeVar("Test", bound=Callable[..., Any])

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


def kept(target: str) -> list[tuple[str, bytes]]:
    """The corpus of a target: file name and content."""
    found = [(path.name, path.read_bytes()) for path in sorted((FOLDER / target).iterdir())]
    assert found, f"no corpus in {FOLDER / target}"
    return found


TOKENS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"null",
    b"NaN",
    b"1e999",
    b"9" * 400,
)


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes], tokens: tuple[bytes, ...] = TOKENS) -> bytes:
    """A seed in which pieces are cut, doubled, exchanged or replaced."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, min(40, len(data) - start)))
        piece = bytes(data[start : start + length])
        put = draw(
            st.one_of(
                st.just(b""),
                st.just(piece * 2),
                st.sampled_from(tokens),
                st.binary(max_size=8),
                st.sampled_from(seeds).map(lambda other: other[:60]),
            )
        )
        data[start : start + length] = put
    return bytes(data)


@contextmanager
def no_hang(what: bytes | str) -> Iterator[None]:
    """Fails for what took too long, and says which input it was."""
    began = time.thread_time()
    yield
    spent = time.thread_time() - began
    assert spent < SECONDS, f"{spent:.1f} s of the processor for {what[:2000]!r} ({threading.current_thread().name})"
