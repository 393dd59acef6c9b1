"""What Pub/Sub answers to a publication, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from shared.errors import PermanentError, TransientError
from shared.publisher import Publisher
from vertex_emulator.ports import fresh_port


class Refusing(grpc.GenericRpcHandler):
    """A Pub/Sub that answers every call with one status."""

    status = grpc.StatusCode.OK

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    def _refuse(self, request: bytes, context: Any) -> bytes:
        context.abort(self.status, "because")
        raise AssertionError("abort does not return")


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    handler = Refusing()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((handler,))
    port = fresh_port(server.add_insecure_port)
    server.start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
    monkeypatch.setenv("CLOCK_ORIGIN", "0")
    monkeypatch.setenv("CLOCK_RATE", "1000")  # the waits between attempts
    yield handler
    server.stop(None).wait()


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
    ],
    ids=lambda status: status.name,
)
def test_what_was_not_published_may_be_published_later(pubsub: Refusing, status: grpc.StatusCode) -> None:
    pubsub.status = status
    with pytest.raises(TransientError, match=r"publishing to rollout-due: .*because"):
        Publisher("p").publish("rollout-due", b"{}")


def test_a_message_that_breaks_the_rules_of_pubsub_is_given_up(pubsub: Refusing) -> None:
    pubsub.status = grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(PermanentError, match=r"publishing to rollout-due: because \(INVALID_ARGUMENT\)"):
        Publisher("p").publish("rollout-due", b"{}")
