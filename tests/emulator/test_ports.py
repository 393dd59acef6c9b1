"""Servers that follow each other in one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from vertex_emulator.ports import fresh_port


def answer(channel: grpc.Channel) -> grpc.StatusCode:
    """What a server without any method says, or what the channel says in its place."""
    try:
        channel.unary_unary("/none/None", None, None)(b"", timeout=10)
    except grpc.RpcError as error:
        return error.code()
    raise AssertionError("the server has no methods")


def test_a_client_that_outlives_its_server_keeps_nobody_from_the_next_one() -> None:
    with ThreadPoolExecutor(2) as workers:
        ended = grpc.server(workers)
        old = fresh_port(ended.add_insecure_port)
        ended.start()
        with grpc.insecure_channel(f"127.0.0.1:{old}") as left_over:
            assert answer(left_over) is grpc.StatusCode.UNIMPLEMENTED
            ended.stop(0).wait()
            assert answer(left_over) is grpc.StatusCode.UNAVAILABLE
            following = grpc.server(workers)
            # The system offers the old port first.
            offers = iter([f"127.0.0.1:{old}"])
            new = fresh_port(lambda address: following.add_insecure_port(next(offers, address)))
            following.start()
            assert new != old
            with grpc.insecure_channel(f"127.0.0.1:{new}") as served:
                # At the old port this call would fail for a second or more: what is left over waits before it tries again.
                assert answer(served) is grpc.StatusCode.UNIMPLEMENTED
            following.stop(0).wait()


def test_a_port_that_is_asked_for_by_its_number_is_given_again() -> None:
    with ThreadPoolExecutor(2) as workers:
        first = grpc.server(workers)
        port = fresh_port(first.add_insecure_port)
        first.start()
        first.stop(0).wait()
        second = grpc.server(workers)
        assert fresh_port(second.add_insecure_port, port=port) == port
        second.stop(0).wait()
