"""What Firestore answers in production and the emulator never does, over the wire to the real client."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.cloud.firestore_v1.types import RunQueryResponse

from shared.errors import PermanentError, TransientError
from shared.store.documents import ExistsError, RevisionError
from shared.store.firestore import FirestoreDocuments
from vertex_emulator.ports import fresh_port

PREFIX = "/google.firestore.v1.Firestore/"
NO_DATABASE = "The database (default) does not exist for project p. Please visit the console to add one."


@dataclass
class Answers(grpc.GenericRpcHandler):
    """A server that refuses every call with one code; a query gets one document first."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    details: str = ""
    calls: list[str] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = details.method.removeprefix(PREFIX)
        self.calls.append(method)
        if method == "Commit":
            return grpc.unary_unary_rpc_method_handler(self._refuse)
        return grpc.unary_stream_rpc_method_handler(self._break_off if method == "RunQuery" else self._refuse)

    def _refuse(self, _request: bytes, context: grpc.ServicerContext) -> Any:
        context.abort(self.code, self.details)

    def _break_off(self, _request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        name = "projects/p/databases/(default)/documents/claims/c1"
        document = {"name": name, "create_time": {"seconds": 1}, "update_time": {"seconds": 1}}
        yield RunQueryResponse.serialize(RunQueryResponse(document=document, read_time={"seconds": 2}))
        context.abort(self.code, self.details)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    found = Answers()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[found])
    port = fresh_port(server.add_insecure_port)
    server.start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    yield found
    server.stop(None).wait()


@pytest.fixture
def documents(answers: Answers) -> Iterator[FirestoreDocuments]:
    opened = FirestoreDocuments(project="p", timeout=2, read_budget=0.5)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        ("ALREADY_EXISTS", "Document already exists", ExistsError),
        ("FAILED_PRECONDITION", "the stored version does not match the required base version", RevisionError),
        ("NOT_FOUND", "No document to update: projects/p/databases/(default)/documents/claims/c1", RevisionError),
        ("NOT_FOUND", NO_DATABASE, PermanentError),
        ("FAILED_PRECONDITION", "not available for Firestore in Datastore Mode database p", PermanentError),
        ("PERMISSION_DENIED", "Missing or insufficient permissions.", PermanentError),
        ("INVALID_ARGUMENT", "too large", PermanentError),
        ("ABORTED", "Too much contention on these documents.", TransientError),
        ("RESOURCE_EXHAUSTED", "quota", TransientError),
        ("DEADLINE_EXCEEDED", "too slow", TransientError),
        ("UNAVAILABLE", "restarting", TransientError),
        ("INTERNAL", "internal", TransientError),
        ("UNKNOWN", "unknown", TransientError),
        ("CANCELLED", "cancelled", TransientError),
    ],
)
def test_a_refused_write_is_tried_once_and_told_in_our_words(
    answers: Answers, documents: FirestoreDocuments, code: str, details: str, expected: type[Exception]
) -> None:
    answers.code, answers.details = grpc.StatusCode[code], details
    with pytest.raises(expected, match=r"^writing claims/c1: ") as raised:
        documents.create("claims", "c1", {})
    assert raised.type is expected
    assert answers.calls == ["Commit"]


@pytest.mark.parametrize(
    ("code", "details", "advice"),
    [
        ("NOT_FOUND", NO_DATABASE, "does not exist"),
        ("FAILED_PRECONDITION", "The query requires an index.", "requires an index"),
        ("PERMISSION_DENIED", "Missing or insufficient permissions.", "roles/datastore.user"),
    ],
)
def test_a_read_that_no_retry_can_help_is_tried_once(
    answers: Answers, documents: FirestoreDocuments, code: str, details: str, advice: str
) -> None:
    answers.code, answers.details = grpc.StatusCode[code], details
    with pytest.raises(PermanentError, match=advice):
        documents.get("claims", "c1")
    with pytest.raises(PermanentError, match=advice):
        documents.query("claims")
    assert answers.calls == ["BatchGetDocuments", "RunQuery"]


def test_a_read_is_tried_again_until_its_budget_is_spent(answers: Answers, documents: FirestoreDocuments) -> None:
    with pytest.raises(TransientError, match=r"^reading claims: "):
        documents.get("claims", "c1")
    assert len(answers.calls) > 1


def test_a_stream_that_always_breaks_in_the_middle_has_an_end(answers: Answers, documents: FirestoreDocuments) -> None:
    with pytest.raises(TransientError, match=r"^querying claims: "):
        documents.query("claims")
    assert len(answers.calls) > 1
