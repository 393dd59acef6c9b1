"""Starts the serving container as the process that it is, under the environment that Vertex AI would give it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
"""Wall seconds after which something that should happen did not."""


@dataclass
class Container:
    """A running server, and one keep-alive connection to it."""

    process: subprocess.Popen[str]
    port: int
    connection: http.client.HTTPConnection

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        self.connection.request(method, path, body)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def predict(self, *instances: object, parameters: Mapping[str, object] | None = None) -> tuple[int, Any]:
        body = {"instances": instances, **({"parameters": parameters} if parameters else {})}
        return self.send("POST", "/predict", json.dumps(body).encode())

    def wait_until_healthy(self, path: str = "/health") -> None:
        deadline = time.monotonic() + PATIENCE
        while self.send("GET", path)[0] != 200:
            assert time.monotonic() < deadline, "the container never became healthy"
            time.sleep(0.005)

    def stop(self) -> tuple[int, str]:
        """Ask for the end; the exit code and what was logged since the start."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output


def write_artifact(directory: Path, **model: object) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.json").write_text(json.dumps(model), encoding="utf-8")
    return directory


def relevance_artifact(directory: Path, **behaviour: object) -> Path:
    return write_artifact(directory, kind="relevance", scorer="propositional", seed=7, behaviour=behaviour)


def image(number: int, complexity: float = 0.4) -> dict[str, object]:
    return {"image_id": f"image-{number}", "complexity": complexity, "query": "what is on the table?"}


@contextlib.contextmanager
def running(
    artifact: Path | str,
    env: Mapping[str, str] | None = None,
    *,
    command: tuple[str, ...] = ("-m", "infra.serving.server"),
    folder: Path = REPOSITORY,
    health_path: str | None = "/health",
) -> Iterator[Container]:
    process = start(artifact, env, command=command, folder=folder)
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        connection = http.client.HTTPConnection("127.0.0.1", json.loads(line)["port"], timeout=PATIENCE)
        container = Container(process, json.loads(line)["port"], connection)
        try:
            if health_path:
                container.wait_until_healthy(health_path)
            yield container
        finally:
            connection.close()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=PATIENCE)


def start(
    artifact: Path | str,
    env: Mapping[str, str] | None = None,
    *,
    command: tuple[str, ...] = ("-m", "infra.serving.server"),
    folder: Path = REPOSITORY,
) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIP_", "CLOCK_"))}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**clean, "AIP_STORAGE_URI": str(artifact), "AIP_HTTP_PORT": "0", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
