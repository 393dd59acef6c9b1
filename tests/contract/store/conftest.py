"""Stores to run the contract against: a SQLite file always, Google's Firestore emulator where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.store.documents import Documents
from tests.contract.store.opening import Place

JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
START_SECONDS = 60


def _jar() -> Path:
    """The emulator's jar in some Cloud SDK on this machine, or a skip that says what is missing."""
    roots = [Path("/usr/lib/google-cloud-sdk"), Path("/opt/google-cloud-sdk"), Path.home() / "google-cloud-sdk"]
    gcloud = shutil.which("gcloud")
    if gcloud:
        roots.insert(0, Path(gcloud).resolve().parent.parent)
    for root in roots:
        if (root / JAR).is_file():
            return root / JAR
    if gcloud:
        command = [gcloud, "info", "--format=value(installation.sdk_root)"]
        root = Path(subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout.strip())
        if (root / JAR).is_file():
            return root / JAR
    pytest.skip("Firestore's emulator is not installed (gcloud components install cloud-firestore-emulator)")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Firestore's emulator did not open port {port}: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of an emulator of this session's own."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("Firestore's emulator needs Java, and there is no java on the PATH")
    jar, port = _jar(), _free_port()
    log = tmp_path_factory.mktemp("firestore") / "emulator.log"
    flags = ["-Duser.language=en", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", str(jar)]
    main = ["com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [java, *flags, *main, "--host=127.0.0.1", f"--port={port}"],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Place:
    return Place("sqlite", str(tmp_path / "store.db"))


@pytest.fixture
def firestore_place(firestore_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    return Place("firestore", f"test-{uuid.uuid4().hex[:20]}")


@pytest.fixture(params=["sqlite", pytest.param("firestore", marks=pytest.mark.emulator)])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture
def documents(place: Place) -> Iterator[Documents]:
    opened = place.open()
    yield opened
    opened.close()
