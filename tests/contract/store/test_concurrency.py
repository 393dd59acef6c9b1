"""Several threads and processes at one store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from shared.errors import TransientError
from shared.store.documents import Create, Documents
from tests.contract.store.opening import Place
from tests.contract.store.worker import RACES, ROUNDS, append

ROOT = Path(__file__).parents[3]


def in_processes(place: Place, task: str, number: int) -> list[list]:
    """What ``number`` processes answer that begin the task at the same moment."""
    command = [sys.executable, "-m", "tests.contract.store.worker", place.kind, place.address, task]
    with ExitStack() as stack:
        workers = []
        for me in range(number):
            worker = subprocess.Popen(
                [*command, str(me)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
            stack.callback(worker.kill)
            workers.append(stack.enter_context(worker))
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        answers = [worker.communicate(timeout=60)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * number
    return [json.loads(answer) for answer in answers]


def test_a_creation_race_between_threads_has_one_winner(documents: Documents) -> None:
    barrier = threading.Barrier(16)

    def attempt(me: int) -> bool:
        barrier.wait()
        try:
            documents.create("claims", "run-1", {"by": me})
        except TransientError:  # usually a conflict; a contended emulator may also say "aborted"
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        won = list(threads.map(attempt, range(16)))
    stored = documents.get("claims", "run-1")
    assert stored is not None
    assert [me for me, mine in enumerate(won) if mine] == [stored.body["by"]]


def test_a_creation_race_between_processes_has_one_winner(place: Place, documents: Documents) -> None:
    won = in_processes(place, "claim", 3)
    assert sorted(race for mine in won for race in mine) == list(range(RACES))
    holders = {stored.id: stored.body["by"] for stored in documents.query("claims")}
    assert holders == {f"race-{race}": str(me) for me, mine in enumerate(won) for race in mine}


def test_a_compare_and_set_loop_of_four_threads_loses_nothing(documents: Documents) -> None:
    documents.create("ledger", "shared", {"entries": []})

    def add(me: int) -> None:
        for round_ in range(ROUNDS):
            append(documents, f"{me}-{round_}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(4)))
    stored = documents.get("ledger", "shared")
    assert stored is not None
    assert sorted(stored.body["entries"]) == sorted(f"{me}-{n}" for me in range(4) for n in range(ROUNDS))


def test_a_compare_and_set_loop_of_four_processes_loses_nothing(place: Place, documents: Documents) -> None:
    documents.create("ledger", "shared", {"entries": []})
    in_processes(place, "count", 4)
    stored = documents.get("ledger", "shared")
    assert stored is not None
    assert sorted(stored.body["entries"]) == sorted(f"{me}-{n}" for me in range(4) for n in range(ROUNDS))


def test_two_processes_write_at_once(place: Place, documents: Documents) -> None:
    revisions = in_processes(place, "write", 2)
    stored = {found.id: found.revision for found in documents.query("notices")}
    assert stored == {f"{me}-{n}": revision for me in range(2) for n, revision in enumerate(revisions[me])}


def test_competing_batches_do_not_mix(documents: Documents) -> None:
    barrier = threading.Barrier(4)

    def attempt(me: int) -> None:
        barrier.wait()
        try:
            documents.commit([Create("claims", f"part-{n}", {"by": me}) for n in range(5)])
        except TransientError:  # usually a conflict; a contended emulator may also say "aborted"
            return

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(attempt, range(4)))
    holders = [stored.body["by"] for stored in documents.query("claims")]
    assert len(holders) == 5
    assert len(set(holders)) == 1
