"""Google's own Pub/Sub and Firestore emulators, where the Cloud SDK has them and Java is there.

They are started straight from their jars: the SDK's launchers cost a second and a Python process each. Their time is
the wall clock's: nothing is compressed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

_WELL_KNOWN = (
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "/opt/homebrew/share/google-cloud-sdk",
    "/usr/local/share/google-cloud-sdk",
    "~/google-cloud-sdk",
)
_FAST_JAVA = ("-Duser.language=en", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A short-lived server gains nothing from the second compiler: a third of the start-up time."""

_PUBSUB_JAR = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
_FIRESTORE_JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
_FIRESTORE_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class NotInstalled:
    """Why an emulator cannot be started, and what would help."""

    reason: str


class Emulator:
    """A running emulator; a context manager."""

    def __init__(
        self, name: str, variable: str, address: str, process: subprocess.Popen[bytes], log: IO[bytes]
    ) -> None:
        self.address = address
        self.variable = variable
        """The variable that sends Google's clients to ``address``."""
        self._name = name
        self._process = process
        self._log = log

    def stop(self) -> None:
        """End it, by force if it does not end by itself."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def wait_until_ready(self) -> Self:
        """Return when the port accepts connections; a process that ended instead says what it printed."""
        host, port = self.address.rsplit(":", 1)
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        self._log.seek(0)
        printed = self._log.read().decode(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(
            f"{self._name} did not open {self.address} within {_READY_SECONDS:.0f} s. It printed:\n{printed}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_pubsub(port: int = 0) -> Emulator | NotInstalled:
    """Google's Pub/Sub emulator on 127.0.0.1; port 0 lets the system choose."""
    command = _java("the Pub/Sub emulator", _PUBSUB_JAR, "pubsub-emulator")
    if isinstance(command, NotInstalled):
        return command
    java, jar = command
    return _start("Google's Pub/Sub emulator", "PUBSUB_EMULATOR_HOST", port, [java, *_FAST_JAVA, "-jar", jar])


def start_firestore(port: int = 0) -> Emulator | NotInstalled:
    """Google's Firestore emulator on 127.0.0.1; port 0 lets the system choose."""
    command = _java("the Firestore emulator", _FIRESTORE_JAR, "cloud-firestore-emulator")
    if isinstance(command, NotInstalled):
        return command
    java, jar = command
    arguments = [java, *_FAST_JAVA, "-cp", jar, _FIRESTORE_MAIN, "start"]
    return _start("Google's Firestore emulator", "FIRESTORE_EMULATOR_HOST", port, arguments)


def _java(what: str, pattern: str, component: str) -> tuple[str, str] | NotInstalled:
    """The Java program and the newest jar."""
    java = shutil.which("java")
    if java is None:
        return NotInstalled(f"{what} needs Java, and there is no java on the PATH")
    for root in _sdk_roots():
        if jars := sorted(root.glob(pattern)):
            return java, str(jars[-1])
    return NotInstalled(f"{what} is not in any Cloud SDK here; gcloud components install {component}")


def _sdk_roots() -> Iterator[Path]:
    """Where the Cloud SDK may be: the places that installers use first, as asking gcloud takes a second."""
    for place in _WELL_KNOWN:
        yield Path(place).expanduser()
    gcloud = shutil.which("gcloud")
    if gcloud is not None:
        asked = subprocess.run(
            [gcloud, "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=False
        )
        if asked.stdout.strip():
            yield Path(asked.stdout.strip())


def _start(name: str, variable: str, port: int, command: Sequence[str]) -> Emulator:
    port = port or free_port()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by Emulator.stop
    process = subprocess.Popen(
        [*command, "--host=127.0.0.1", f"--port={port}"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "JAVA_TOOL_OPTIONS": ""},
    )
    return Emulator(name, variable, f"127.0.0.1:{port}", process, log).wait_until_ready()


def free_port() -> int:
    """A port that was free a moment ago, for a program that cannot choose one by itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
