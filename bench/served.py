"""A function as Cloud Run has it: its folder and nothing else, in the Functions Framework's production server."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from bench.events import Event
from bench.trial import BenchError
from local.google_emulators import free_port

INTERPRETER = (sys.executable, "-S")
"""With ``-S`` the installation for development, which makes this repository importable from everywhere, is not seen."""
_LOOK_SECONDS = 0.002
_PATIENCE_SECONDS = 60.0


def alone(environment: Mapping[str, str], packages: Path | None = None) -> dict[str, str]:
    """An environment in which only a function's folder and the installed packages can be imported, without a home."""
    installed = str(packages or sysconfig.get_path("purelib"))
    # The safe path: otherwise the working directory would be searched for modules before the folder.
    return {**environment, "PATH": os.environ["PATH"], "PYTHONPATH": installed, "PYTHONSAFEPATH": "1"}


class Served:
    """One process; a context manager. ``started`` is when it was executed (``time.perf_counter``).

    ``interpreter`` is the command that runs Python, ``packages`` the folder that it imports from besides the function's.
    """

    def __init__(
        self,
        function: str,
        folder: Path,
        environment: Mapping[str, str],
        home: Path,
        *,
        interpreter: Sequence[str] = INTERPRETER,
        packages: Path | None = None,
    ) -> None:
        self.function = function
        self._port = free_port()
        self._log = home / f"{function}.log"
        home.mkdir(parents=True, exist_ok=True)
        arguments = ["--target", function, "--source", str(folder / "main.py"), "--port", str(self._port)]
        with self._log.open("wb") as log:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                [*interpreter, "-m", "functions_framework", *arguments, "--host", "127.0.0.1"],
                cwd=folder,
                env={**alone(environment, packages), "XDG_RUNTIME_DIR": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def send(self, event: Event) -> int:
        """Send an event, as soon as somebody listens; the status of the answer, which must be one of the event's."""
        status = self.answer(event)
        if status not in event.answers:
            raise BenchError(f"{self.function} answered {status} to {event.about}. It printed:\n{self.said()}")
        return status

    def answer(self, event: Event) -> int:
        """The same, whatever is answered."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_SECONDS)
            try:
                connection.connect()
            except OSError:
                connection.close()
                self._check_alive()
                time.sleep(_LOOK_SECONDS)
                continue
            with contextlib.closing(connection):
                headers = {"Content-Type": "application/json", **event.headers}
                connection.request(event.method, event.path, event.body, headers)
                answer = connection.getresponse()
                answer.read()
            return answer.status

    def memory(self) -> float | None:
        """Proportional set size of server and worker in MB; None where the system does not say (only Linux does)."""
        total = 0
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                if os.getpgid(int(entry.name)) == self._process.pid:
                    lines = (entry / "smaps_rollup").read_text().splitlines()
                    total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024 if total else None

    def said(self) -> str:
        """The end of what it printed."""
        return self._log.read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """End it, politely at first."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _check_alive(self) -> None:
        late = time.perf_counter() - self.started > _PATIENCE_SECONDS
        if late or self._process.poll() is not None:
            raise BenchError(f"{self.function} does not serve. It printed:\n{self.said()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
