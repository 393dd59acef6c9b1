"""A hundred thousand malformed requests to the two doors, in processes of their own: ``python -m bench.webhook``.

Nothing but 4xx may be answered (what is not even HTTP may also be hung up on), every request gets an answer, and the memory of the functions is the
same at the end as after half of the requests. The exit code is 1 when any of this is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from bench.malformed import Malformed, Malice
from local.host import ProcessHost, discover
from local.identity import Issuer, KeyServer
from local.pubsub import PubsubServer
from local.pubsub.wiring import wire
from shared import topics

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "webhook.json"
DOORS = ("receive_alert", "receive_command")
SENDERS = 4
GROWTH = 16.0
"""Megabytes that are no leak: the allocator's and the last large requests'."""
HUNG_UP = 0
"""Stands for the status of an answer that never came, as the connection was closed."""


@dataclass
class Outcome:
    """What was seen."""

    requests: int
    answers: dict[str, Counter[int]] = field(default_factory=dict)
    """By function; of what was not HTTP under the function's name and " (not HTTP)"."""
    memory: dict[str, list[float]] = field(default_factory=dict)
    """Megabytes of each function, after each tenth of the requests."""
    leaked: list[str] = field(default_factory=list)
    """Functions whose log has the secret."""
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """What should not be."""
        found = [
            f"{name} answered {status} to {count}"
            for name, counted in self.answers.items()
            for status, count in counted.items()
            if not (400 <= status < 500 or (status == HUNG_UP and name.endswith(")")))
        ]
        found += [
            f"{name} grew from {seen[len(seen) // 2]:.0f} MB after half of them to {seen[-1]:.0f} MB"
            for name, seen in self.memory.items()
            if seen[-1] - seen[len(seen) // 2] > GROWTH
        ]
        return found + [f"the log of {name} has the secret" for name in self.leaked]


def run(requests: int, seed: int, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Send them all."""
    outcome = Outcome(requests)
    issuer, secret = Issuer.create(), f"a-secret-of-this-run-{os.urandom(8).hex()}"
    with ExitStack() as stack:
        keys = stack.enter_context(KeyServer(issuer))
        pubsub = stack.enter_context(PubsubServer())
        wire(pubsub.address, "local-project", {}, str, topics=topics.ALL)
        environment = {
            "GOOGLE_CLOUD_PROJECT": "local-project",
            "PUBSUB_EMULATOR_HOST": pubsub.address,
            "STORE": "sqlite",
            "STORE_PATH": str(folder / "rollouts.db"),
            "ALERT_TOKEN": secret,
            "ID_TOKEN_CERTS_URL": keys.url,
            "COMMAND_AUDIENCE": "webhook",
            "COMMAND_OPERATORS": "ann@example.com",
        }
        doors = {name: path for name, path in discover(ROOT / "functions").items() if name in DOORS}
        host = stack.enter_context(ProcessHost(doors, root=ROOT, env=environment))
        token = issuer.mint("ann@example.com", "webhook", 86_400)
        began, share = time.monotonic(), requests // 10 // SENDERS
        for tenth in range(10):
            with ThreadPoolExecutor(SENDERS) as pool:
                senders = [Malice(seed * 1_000 + tenth * SENDERS + n, secret, token) for n in range(SENDERS)]
                for answers in pool.map(_send, repeat(host), senders, repeat(share)):
                    for name, counted in answers.items():
                        outcome.answers.setdefault(name, Counter()).update(counted)
            for name in DOORS:
                outcome.memory.setdefault(name, []).append(_megabytes(host, name))
            tell(
                f"{share * SENDERS * (tenth + 1)} sent; "
                + ", ".join(f"{n} {m[-1]:.0f} MB" for n, m in outcome.memory.items())
            )
        outcome.seconds = time.monotonic() - began
        outcome.leaked = [name for name in DOORS if secret in host.log(name)]
    return outcome


def _send(host: ProcessHost, malice: Malice, many: int) -> dict[str, Counter[int]]:
    answers: dict[str, Counter[int]] = {}
    http = urllib3.PoolManager(retries=False, timeout=60)
    for _ in range(many):
        request = malice.next()
        url = host.url(request.function)
        name = f"{request.function} (not HTTP)" if request.raw else request.function
        status = _raw(url, request.raw) if request.raw else _http(http, url, request)
        answers.setdefault(name, Counter())[status] += 1
    http.clear()
    return answers


def _http(http: urllib3.PoolManager, url: str, request: Malformed) -> int:
    for _ in range(3):
        try:
            return http.request(
                request.method, url + request.path, headers=dict(request.headers), body=request.body, redirect=False
            ).status
        except urllib3.exceptions.ProtocolError:
            # The server ends a kept connection at the moment it is used again, or while a body is sent that it does not want.
            http.clear()
    return HUNG_UP


def _raw(url: str, data: bytes) -> int:
    """The status of the answer, if what comes back is one."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(64)
        except ConnectionError:
            return HUNG_UP
    fields = answer.split(b" ", 2)
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else HUNG_UP


def _megabytes(host: ProcessHost, name: str) -> float:
    """Resident memory of a function's server and its worker."""
    pids = host.pids(name)
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def document(outcome: Outcome, seed: int) -> dict[str, object]:
    """For programs, and for the documentation."""
    return {
        "requests": outcome.requests,
        "seed": seed,
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "seconds": round(outcome.seconds),
        "answers": {
            name: {str(status or "hung up"): count for status, count in sorted(counted.items())}
            for name, counted in sorted(outcome.answers.items())
        },
        "megabytes": {name: [round(one, 1) for one in seen] for name, seen in outcome.memory.items()},
        "wrong": outcome.wrong,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Send what is asked for; 1 when something was answered that should not have been."""
    parser = argparse.ArgumentParser(prog="python -m bench.webhook", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help=f"keep the result in docs/{DOCUMENT.name}")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="webhook-") as folder:
        outcome = run(
            options.requests, options.seed, Path(folder), lambda line: print(line, file=sys.stderr, flush=True)
        )
    told = document(outcome, options.seed)
    text = json.dumps(told, indent=2)
    if options.write:
        DOCUMENT.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
    else:
        for name, counted in sorted(outcome.answers.items()):
            print(
                f"{name}: " + ", ".join(f"{count} x {status or 'hung up'}" for status, count in sorted(counted.items()))
            )
        for name, seen in outcome.memory.items():
            print(f"{name}: {seen[0]:.0f} MB after a tenth, {seen[-1]:.0f} MB at the end")
        print("\n".join(outcome.wrong) or f"only 4xx, in {outcome.seconds:.0f} s")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
