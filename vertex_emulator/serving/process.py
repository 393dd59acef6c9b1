"""A container's own server process, run under the custom-container contract.

The process gets ``AIP_HTTP_PORT``, ``AIP_HEALTH_ROUTE``, ``AIP_PREDICT_ROUTE``, ``AIP_STORAGE_URI`` and the container's own
environment, must answer 200 on its health route, and gets predictions over kept-alive connections (documentation: "Custom
container requirements for inference"). All replicas of a deployed model share one process; how many there are decides the
utilisation that is reported, not the speed.
"""

from __future__ import annotations

import http.client
import os
import queue
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc

from vertex_emulator.errors import ApiError
from vertex_emulator.faults import NEVER_HEALTHY
from vertex_emulator.serving.contract import TIMEOUT, Answer

_HEALTH_INTERVAL = 0.05
_GRACE = 5.0


@dataclass(frozen=True)
class Command:
    """What to run and how to reach it."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    predict_route: str = "/predict"
    health_route: str = "/health"
    storage: str = ""
    """The local directory of the model's artifact, "" without one."""
    capacity_rps: float | None = None
    start_timeout: float = 30.0
    predict_timeout: float = 60.0


class ProcessServer:
    """One server process on a free local port."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._connections: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: str | None = None
        self._was_healthy = False
        self._waiter: threading.Thread | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the server)

    @property
    def capacity_rps(self) -> float | None:
        """Requests per real second that one replica carries, where declared."""
        return self._command.capacity_rps

    def start(self) -> None:
        """Start the process, and wait for its health in a thread."""
        self._port = _free_port()
        self._ready.clear()
        aip = {
            "AIP_MODE": "PREDICTION",
            "AIP_HTTP_PORT": str(self._port),
            "AIP_HEALTH_ROUTE": self._command.health_route,
            "AIP_PREDICT_ROUTE": self._command.predict_route,
            "AIP_STORAGE_URI": self._command.storage,
        }
        try:
            self._process = subprocess.Popen(
                list(self._command.arguments),
                env={**os.environ, **self._command.environment, **aip},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            self._failure = str(error)
            return
        self._waiter = threading.Thread(target=self._wait_for_health, name="wait-for-health", daemon=True)
        self._waiter.start()

    def is_ready(self) -> bool:
        """Whether the health route answers; raises when the process ended or its time is over."""
        if self._failure is not None:
            raise ApiError(grpc.StatusCode.FAILED_PRECONDITION, f"{NEVER_HEALTHY} {self._failure}")
        return self._ready.is_set()

    def handle(self, body: bytes, content_type: str, utilisation: float) -> Answer:
        """Pass one request on to the process."""
        try:
            return self._post(body, content_type)
        except TimeoutError:
            return Answer(TIMEOUT, b"The model server did not answer in time.", "text/plain")
        except (OSError, http.client.HTTPException) as error:
            return Answer(503, f"The model server cannot be reached: {error}".encode(), "text/plain")

    def supervise(self) -> None:
        """Start a process again that ended by itself after it had been healthy, as the platform does."""
        is_waiting = self._waiter is not None and self._waiter.is_alive()
        if self._was_healthy and not is_waiting and self._process is not None and self._process.poll() is not None:
            self._failure = None
            self.start()

    def stop(self) -> None:
        """Terminate the process, by force if it does not follow, and close the connections."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._waiter is not None:
            self._waiter.join()
        while not self._connections.empty():
            self._connections.get().close()
        self._output.close()

    def _post(self, body: bytes, content_type: str) -> Answer:
        try:
            connection, is_kept = self._connections.get_nowait(), True
        except queue.Empty:
            connection, is_kept = self._connect(), False
        headers = {"Content-Type": content_type}
        try:
            connection.request("POST", self._command.predict_route, body, headers)
            response = connection.getresponse()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            # A kept connection may have been closed by the server meanwhile: that says nothing about its health.
            connection.close()
            if not is_kept:
                raise
            connection = self._connect()
            connection.request("POST", self._command.predict_route, body, headers)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        answer = Answer(response.status, response.read(), response.headers.get("Content-Type", "application/json"))
        if response.will_close:
            connection.close()
        else:
            self._connections.put(connection)
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._command.predict_timeout)

    def _wait_for_health(self) -> None:
        process = self._process
        deadline = time.monotonic() + self._command.start_timeout
        while process is not None and not self._stopping.wait(_HEALTH_INTERVAL):
            if process.poll() is not None:
                self._failure = f"The process ended with {process.returncode}: {self._last_output()}"
                return
            if self._is_healthy():
                self._was_healthy = True
                self._ready.set()
                return
            if time.monotonic() > deadline:
                self._failure = f"No 200 from {self._command.health_route} within {self._command.start_timeout:g} s."
                return

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
        try:
            connection.request("GET", self._command.health_route)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_output(self) -> str:
        self._output.seek(0)
        return self._output.read()[-500:].decode(errors="replace").strip() or "it wrote nothing."


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
