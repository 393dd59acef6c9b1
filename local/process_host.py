"""Each function in a process of its own, under the Functions Framework's own server."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from local.google_emulators import free_port

_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0


class ProcessHost:
    """Each function in a process of its own; a context manager.

    A function's directory is ``functions/<name>``, with ``root`` as the place of ``shared``, or an unpacked zip, which
    brings everything along: then ``root`` is none. ``env`` is added to this process's environment.
    """

    def __init__(
        self,
        functions: Mapping[str, Path],
        *,
        root: Path | None,
        env: Mapping[str, str] | None = None,
        threads: int = 8,
    ) -> None:
        self._functions = dict(functions)
        self._homes = tempfile.TemporaryDirectory(prefix="functions-")
        self._env = {**os.environ, **(env or {}), "THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        if root is not None:
            before = self._env.get("PYTHONPATH")
            self._env["PYTHONPATH"] = os.pathsep.join([str(root), before] if before else [str(root)])
        self._ports = {name: free_port() for name in functions}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def url(self, name: str) -> str:
        """The address of a function, without a slash at the end."""
        if name not in self._ports:
            raise KeyError(f"No function {name!r} is hosted here; there are {', '.join(self._ports) or 'none'}.")
        return f"http://127.0.0.1:{self._ports[name]}"

    def start(self) -> Self:
        """Start every function, then wait for all: they import side by side."""
        try:
            for name in self._functions:
                self._spawn(name)
            for name in self._functions:
                self._wait_until_ready(name)
        except BaseException:
            self.stop()
            raise
        return self

    def log(self, name: str) -> str:
        """What a function has printed so far."""
        path = self._home(name) / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self, name: str) -> list[int]:
        """The processes of a function: its server and what that has started (Linux only)."""
        found = [self._processes[name].pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        return found

    def kill(self, name: str) -> None:
        """End a function in the middle of whatever it does, as a lost instance does."""
        process = self._processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def restart(self, name: str) -> None:
        """Start a function again, at the same address."""
        if name in self._processes:
            self.kill(name)
        self._spawn(name)
        self._wait_until_ready(name)

    def stop(self) -> None:
        """Let the functions finish their requests, within some seconds, and remove their homes."""
        for process in self._processes.values():
            process.terminate()
        until = time.monotonic() + _STOP_SECONDS
        for name, process in list(self._processes.items()):
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.kill(name)
        self._processes.clear()
        self._homes.cleanup()

    def _home(self, name: str) -> Path:
        return Path(self._homes.name) / name

    def _spawn(self, name: str) -> None:
        home = self._home(name)
        home.mkdir(exist_ok=True)
        # gunicorn opens a control socket there; two servers that start together would quarrel about it.
        env = {**self._env, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
        source = self._functions[name] / "main.py"
        arguments = ["--target", name, "--source", str(source), "--host", "127.0.0.1", "--port", str(self._ports[name])]
        with (home / "log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "functions_framework", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                process_group=0,
            )

    def _wait_until_ready(self, name: str) -> None:
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until and self._processes[name].poll() is None:
            if _answers(self.url(name)):
                return
            time.sleep(0.05)
        raise RuntimeError(
            f"Function {name} in {self._functions[name]} does not serve. It printed:\n{self.log(name)[-3000:]}"
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _answers(url: str) -> bool:
    """Whether a function's server answers; asks for a path that the framework keeps from the function."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=2)
    try:
        connection.request("GET", "/robots.txt")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True
