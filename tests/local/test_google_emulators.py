"""Finding and starting Google's emulators."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import pytest

from local import google_emulators
from local.google_emulators import Emulator, NotInstalled, start_firestore, start_pubsub


@pytest.mark.parametrize("start", [start_pubsub, start_firestore])
def test_without_java_the_reason_says_so(start: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert callable(start)
    found = start()
    assert isinstance(found, NotInstalled)
    assert "Java" in found.reason


def test_without_the_sdk_the_reason_names_the_component(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, code in (("java", "exit 1"), ("gcloud", f"echo {tmp_path}")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{code}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(google_emulators, "_WELL_KNOWN", ())
    found = start_pubsub()
    assert isinstance(found, NotInstalled)
    assert "gcloud components install pubsub-emulator" in found.reason


def test_an_emulator_that_ends_at_once_says_what_it_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jar = tmp_path / "platform/pubsub-emulator/lib/cloud-pubsub-emulator-0.0.0-all.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    java = tmp_path / "java"
    java.write_text(f"#!{sys.executable}\nprint('no heap here')\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(google_emulators, "_WELL_KNOWN", (str(tmp_path),))
    with pytest.raises(RuntimeError, match="no heap here"):
        start_pubsub()


@pytest.mark.emulator
def test_the_firestore_emulator_accepts_calls_and_stops() -> None:
    emulator = start_firestore()
    if isinstance(emulator, NotInstalled):
        pytest.skip(emulator.reason)
    with emulator:
        assert isinstance(emulator, Emulator)
        assert emulator.variable == "FIRESTORE_EMULATOR_HOST"
        with grpc.insecure_channel(emulator.address) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
