"""What only Firestore can do: be far away, slow, or not there."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud import firestore

from shared.errors import PermanentError, TransientError
from shared.store.documents import RevisionError
from shared.store.firestore import FirestoreDocuments
from shared.store.firestore_revision import Revision
from tests.contract.store.opening import Place

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "stamp", ["2026-03-01T10:11:12.123456789Z", "2026-03-01T10:11:12.000000001Z", "2026-03-01T10:11:12Z"]
)
def test_a_revision_keeps_every_nanosecond(stamp: str) -> None:
    moment = DatetimeWithNanoseconds.from_rfc3339(stamp)
    revision = Revision.of(moment, None)
    again = Revision.parse(str(revision), "rollouts/r1")
    assert again == revision
    assert again.update_time() == moment.timestamp_pb()


def test_a_revision_keeps_the_expiry() -> None:
    revision = Revision(1_772_359_872, 5, datetime(2031, 1, 1, 0, 0, 0, 123456, tzinfo=UTC))
    assert Revision.parse(str(revision), "claims/c1") == revision


def test_what_is_no_revision_is_a_conflict() -> None:
    with pytest.raises(RevisionError, match="claims/c1: 'abc' is not a revision"):
        Revision.parse("abc", "claims/c1")


def test_nothing_of_google_is_imported_before_a_store_is_opened() -> None:
    heavy = ("google.cloud.firestore", "google.api_core", "google.auth", "google.protobuf", "grpc")
    code = f"import sys, shared.store.firestore; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert result.stdout == "[]\n"


def assert_every_use_is_transient(documents: FirestoreDocuments) -> None:
    with pytest.raises(TransientError, match="reading claims: Firestore cannot be used now"):
        documents.get("claims", "c1")
    with pytest.raises(TransientError, match="querying claims: Firestore cannot be used now"):
        documents.query("claims")
    with pytest.raises(TransientError, match="writing claims/c1: Firestore cannot be used now"):
        documents.create("claims", "c1", {})
    documents.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_store_that_is_not_there_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:  # bound but not listening: connections are refused
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{reserved.getsockname()[1]}")
        assert_every_use_is_transient(FirestoreDocuments(project="nobody", timeout=0.3, read_budget=0.5))


def test_a_store_that_never_answers_may_come_back(monkeypatch: pytest.MonkeyPatch, silent_port: int) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{silent_port}")
    assert_every_use_is_transient(FirestoreDocuments(project="nobody", timeout=0.3, read_budget=0.5))


def test_without_credentials_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(PermanentError, match="set GOOGLE_CLOUD_PROJECT and credentials"):
        FirestoreDocuments(project="nobody")


@pytest.mark.emulator
def test_the_expiry_is_a_timestamp_that_a_time_to_live_policy_can_use(firestore_place: Place) -> None:
    documents = firestore_place.open()
    expires = datetime(2031, 1, 1, tzinfo=UTC)
    documents.create("claims", "c1", {"state": "open"}, expires=expires)
    raw = firestore.Client(project=firestore_place.address).collection("claims").document("c1").get(timeout=5)
    assert raw.to_dict() == {"state": "open", "expires": expires}
    documents.close()
