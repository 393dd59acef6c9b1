"""HTTP/1.1 on the wire: what callers other than a well-behaved client library send."""

from __future__ import annotations

import json
import socket

import pytest

from tests.serving.container import PATIENCE, image

BODY = json.dumps({"instances": [image(1)]}).encode()
PREDICT = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def exchange(port: int, *pieces: bytes, until: int = 1) -> bytes:
    """Send the pieces one by one; everything received until ``until`` answers have come or the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        while received.count(b"HTTP/1.1 ") < until or not received.endswith(b"}"):
            data = connection.recv(65536)
            if not data:
                break
            received += data
    return received


def test_a_request_that_arrives_byte_by_byte_is_answered(shared_container: int) -> None:
    pieces = [PREDICT[index : index + 1] for index in range(len(PREDICT))]
    assert exchange(shared_container, *pieces).startswith(b"HTTP/1.1 200 OK")


def test_pipelined_requests_are_answered_in_order(shared_container: int) -> None:
    received = exchange(shared_container, PREDICT + HEALTH + PREDICT, until=3)
    kinds = [b"predictions" if b"predictions" in part else b"healthy" for part in received.split(b"HTTP/1.1 ")[1:]]
    assert kinds == [b"predictions", b"healthy", b"predictions"]


def test_a_connection_is_kept_open_unless_the_caller_says_close(shared_container: int) -> None:
    assert b"Connection: close" not in exchange(shared_container, HEALTH)
    assert b"Connection: close" in exchange(shared_container, HEALTH.replace(b"Host: x", b"Connection: close"))
    assert b"Connection: close" in exchange(shared_container, b"GET /health HTTP/1.0\r\n\r\n")


def test_a_caller_that_expects_to_be_told_to_continue_is_told(shared_container: int) -> None:
    head, body = PREDICT.replace(b"Host: x", b"Expect: 100-continue").split(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", shared_container), timeout=PATIENCE) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("request_bytes", "status", "message"),
    [
        (b"hello\r\n\r\n", 400, b"not an HTTP request line"),
        (b"GET /health HTTP/2.0\r\n\r\n", 505, b"HTTP/1.1 is"),
        (b"GET /health HTTP/1.1\r\nno colon\r\n\r\n", 400, b"not a header"),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\n\r\n", 411, b"send Content-Length"),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, b"chunked"),
        (b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, b"Content-Length is not a number"),
        (b"GET /health HTTP/1.1\r\nX: " + b"a" * 40_000, 431, b"headers are larger"),
    ],
)
def test_a_malformed_request_is_refused_and_the_connection_closed(
    request_bytes: bytes, status: int, message: bytes, shared_container: int
) -> None:
    received = exchange(shared_container, request_bytes)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert message in received
    assert b"Connection: close" in received


def test_a_caller_that_leaves_in_the_middle_harms_nobody(shared_container: int) -> None:
    for cut in (3, 30, len(PREDICT) - 5, len(PREDICT)):
        with socket.create_connection(("127.0.0.1", shared_container), timeout=PATIENCE) as connection:
            connection.sendall(PREDICT[:cut])
    assert exchange(shared_container, PREDICT).startswith(b"HTTP/1.1 200 OK")
