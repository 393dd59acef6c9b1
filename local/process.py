"""A part of the local cloud in a process of its own, which says its address on its first line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, TextIO


class Part:
    """``python -m module ...`` with its output in a log file."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.address = ""
        self._command = [sys.executable, "-m", *arguments]
        self._environment = {**os.environ, **environment}
        self.log = logs / f"{name}.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self, timeout: float = 30) -> Self:
        """Start it and wait for its ``NAME=address`` line; RuntimeError with its last words if it does not come."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        log = self.log.open("w")
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
        said = threading.Event()
        threading.Thread(
            target=self._copy, args=(self._process, log, said), name=f"{self.name}-log", daemon=True
        ).start()
        if not said.wait(timeout) or not self.address:
            self.stop()
            last = self.log.read_text().strip().splitlines()[-5:]
            raise RuntimeError(f"{self.name} did not start: {' | '.join(last) or 'it said nothing'} (see {self.log})")
        return self

    def _copy(self, process: subprocess.Popen[str], log: TextIO, said: threading.Event) -> None:
        assert process.stdout is not None  # noqa: S101 (piped above)
        with process.stdout, log:
            for line in process.stdout:
                if not self.address and "=" in line and " " not in line.strip():
                    self.address = line.strip().partition("=")[2]
                    said.set()
                log.write(line)
                log.flush()
        said.set()

    def kill(self) -> None:
        """End it in the middle of whatever it does, as a lost instance ends."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and insist after five seconds."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
