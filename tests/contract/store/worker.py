"""Another process that uses a store: says "ready", waits for a line, does its task, prints what came of it as JSON.

python -m tests.contract.store.worker sqlite /tmp/store.db claim 3
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from shared.errors import TransientError
from shared.store.documents import Documents
from tests.contract.store.opening import Place

RACES = 10
ROUNDS = 5


def claim(documents: Documents, me: str) -> list[int]:
    """Try to create the same documents as everybody else; which of them were won."""
    won = []
    for race in range(RACES):
        try:
            documents.create("claims", f"race-{race}", {"by": me})
        except TransientError:  # usually a conflict; a contended emulator may also say "aborted"
            continue
        won.append(race)
    return won


def count(documents: Documents, me: str) -> list[str]:
    """Add entries to a shared list by compare-and-set until each stands."""
    for round_ in range(ROUNDS):
        append(documents, f"{me}-{round_}")
    return []


def append(documents: Documents, entry: str) -> None:
    """Read, add, replace at the revision that was read; again if another writer was first."""
    while True:
        stored = documents.get("ledger", "shared")
        assert stored is not None
        if entry in stored.body["entries"]:  # an attempt whose answer was lost
            return
        try:
            documents.replace("ledger", "shared", {"entries": [*stored.body["entries"], entry]}, stored.revision)
        except TransientError:
            continue
        return


def write(documents: Documents, me: str) -> list[str]:
    """Create documents of one's own while others do the same."""
    return [documents.create("notices", f"{me}-{n}", {"n": n}) for n in range(20)]


TASKS: dict[str, Callable[[Documents, str], list]] = {"claim": claim, "count": count, "write": write}


def main() -> None:
    kind, address, task, me = sys.argv[1:]
    documents = Place(kind, address).open()
    documents.get("claims", "warm-up")
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(TASKS[task](documents, me)), flush=True)
    documents.close()


if __name__ == "__main__":
    main()
