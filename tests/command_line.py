"""The command line as a process of its own, without its start.

A start takes a second of computing, nearly all of it imports, and hundreds of tests need one. So one process imports the program, and each run
is a fork of it, which is given arguments, environment, folder and output as a new process is, and then does what ``python -m`` does.
What a start alone can show is shown by the documented commands (tests/unit/docs/test_commands.py), which are started as they are written.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds that a run may take."""

_SERVER = """
import gc, json, os, runpy, socket, sys, time

import rollouts_cli.main

del sys.modules["rollouts_cli.main"]  # which -m runs anew
gc.freeze()
asked = socket.socket(fileno=int(sys.argv[1]))
while True:
    line, given, _, _ = socket.recv_fds(asked, 1 << 20, 2)
    if not line:
        sys.exit()
    child = os.fork()
    if not child:
        break
    for descriptor in given:
        os.close(descriptor)
    asked.sendall(b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

request = json.loads(line)
asked.close()
for number, descriptor in enumerate(given, 1):
    os.dup2(descriptor, number)
    os.close(descriptor)
os.chdir(request["folder"])
os.environ.clear()
os.environ.update(request["environment"])
time.tzset()
sys.argv[1:] = request["arguments"]
runpy.run_module("rollouts_cli.main", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Ran:
    """A run that is over."""

    code: int
    out: str
    err: str


def run(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Ran:
    """``rollouts ARGUMENT...`` with nothing in its environment but what is given; warnings are errors."""
    return _server().run(arguments, environment, folder)


class _Server:
    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(PATIENCE)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", _SERVER, str(theirs.fileno())],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Ran:
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        said: list[bytes] = [b"", b""]
        pipes = [os.pipe(), os.pipe()]
        readers = [threading.Thread(target=_read_into, args=(said, at, ours)) for at, (ours, _) in enumerate(pipes)]
        for reader in readers:
            reader.start()
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [theirs for _, theirs in pipes])
        finally:
            for _, theirs in pipes:
                os.close(theirs)
        code = int(self._socket.recv(100))
        for reader in readers:
            reader.join(PATIENCE)
        return Ran(code, *(text.decode().replace("\r\n", "\n") for text in said))

    def stop(self) -> None:
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()


def _read_into(said: list[bytes], at: int, descriptor: int) -> None:
    with os.fdopen(descriptor, "rb") as stream:
        said[at] = stream.read()


@cache
def _server() -> _Server:
    """One per process of tests."""
    started = _Server()
    atexit.register(started.stop)
    return started
