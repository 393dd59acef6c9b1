"""``python -m bench.load.disturbed``: what ``local.functions`` serves, in a process in which calls of the store and publications fail.

What local servers can be asked for (Vertex AI and Monitoring, lost acknowledgements) is asked of them; a file has no server, and publications
of others must not fail, so these fail where they leave the functions' process. Half of them fail after they were carried out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import grpc

from bench.crashes.faults import InjectedError
from local import functions
from shared.errors import TransientError
from shared.store.documents import Stored, Write
from shared.store.sqlite import SQLiteDocuments
from shared.store.store import Store
from shared.wiring import world

Answer = TypeVar("Answer")
CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""One that is repeated within the call, and one that ends it."""


class Luck:
    """Which calls fail, and whether before or after they were carried out."""

    def __init__(self, share: float, seed: int) -> None:
        self._share, self._draw, self._lock = share, random.Random(seed), threading.Lock()
        self.counts: dict[str, list[int]] = {}
        """By what was called: how many calls, and how many failed."""

    def around(self, what: str, do: Callable[[], Answer], error: Callable[[], Exception]) -> Answer:
        """Carry out one call, unless it fails before."""
        with self._lock:
            drawn = self._draw.random()
            counted = self.counts.setdefault(what, [0, 0])
            counted[0] += 1
            counted[1] += drawn < self._share
        if drawn < self._share / 2:
            raise error()
        answer = do()
        if drawn < self._share:
            raise error()
        return answer

    def code(self) -> grpc.StatusCode:
        """The status of a failed publication."""
        return self._draw.choice(CODES)


class UnluckyDocuments(SQLiteDocuments):
    """The embedded store; its driver's errors are transient ones, as those of Firestore's are."""

    luck: Luck

    def get_all(self, collection: str, ids: Sequence[str]) -> list[Stored]:
        return self.luck.around("store", lambda: SQLiteDocuments.get_all(self, collection, ids), _unavailable)

    def query(self, *args: Any, **kwargs: Any) -> list[Stored]:
        return self.luck.around("store", lambda: SQLiteDocuments.query(self, *args, **kwargs), _unavailable)

    def commit(self, writes: Sequence[Write]) -> list[str]:
        return self.luck.around("store", lambda: SQLiteDocuments.commit(self, writes), _unavailable)


class _Interceptor(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Where publications leave the process."""

    def __init__(self, luck: Luck) -> None:
        self._luck = luck

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method if isinstance(details.method, str) else details.method.decode()
        if not method.endswith("Publisher/Publish"):
            return continuation(details, request)

        def carry_out() -> Any:
            answer = continuation(details, request)
            answer.result()
            return answer

        return self._luck.around("publisher", carry_out, lambda: InjectedError(self._luck.code(), "injected"))


@contextmanager
def disturbed(share: float, seed: int) -> Iterator[Luck]:
    """Calls of this process's store, and publications over channels that are made inside, fail by this share."""
    luck, plain = Luck(share, seed), grpc.insecure_channel
    documents = UnluckyDocuments(world().environment["STORE_PATH"])
    documents.luck = luck
    world().store = Store(documents)
    with patch.object(
        grpc, "insecure_channel", lambda *a, **k: grpc.intercept_channel(plain(*a, **k), _Interceptor(luck))
    ):
        yield luck


def main() -> None:
    """Serve until terminated; the first line says where."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.disturbed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--counts", type=Path, required=True, help="where it says in the end how many calls failed")
    options = parser.parse_args()
    del sys.argv[1:]
    with disturbed(options.share, options.seed) as luck:
        functions.main()
    options.counts.write_text(json.dumps(luck.counts), encoding="utf-8")


def _unavailable() -> TransientError:
    return TransientError("injected: the store cannot be used now")


if __name__ == "__main__":
    main()
