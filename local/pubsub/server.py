"""The embedded Pub/Sub as one object: a gRPC server on a port of its own, and the threads that push."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Self

import grpc

from local.pubsub.control import Control
from local.pubsub.publisher import Publisher
from local.pubsub.push import Mint, PushDispatcher
from local.pubsub.state import Broker
from local.pubsub.subscriber import Subscriber
from vertex_emulator.ports import fresh_port

_MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""Of a publish request (quotas page); gRPC's own limit is 4 MiB."""

_RPC_THREADS = 64
"""Pulls and streams hold a thread each while they wait; threads start only when needed."""


class PubsubServer:
    """A Pub/Sub for the clients that read ``PUBSUB_EMULATOR_HOST``; a context manager.

    ``mint`` makes the ID token of subscriptions with an ``oidc_token``; without it they are pushed without a header, as
    Google's emulator does. ``max_in_flight`` bounds the posts under way per subscription.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        mint: Mint | None = None,
        max_in_flight: int = 10,
        workers: int = 32,
    ) -> None:
        self.broker = Broker(max_in_flight)
        self._push = PushDispatcher(self.broker, workers=workers, mint=mint)
        self.handlers = [
            Publisher(self.broker).handler(),
            Subscriber(self.broker).handler(),
            Control(self.broker).handler(),
        ]
        """What is served, for whoever serves it elsewhere too."""
        self._server = grpc.server(
            ThreadPoolExecutor(_RPC_THREADS, thread_name_prefix="pubsub-rpc"),
            handlers=self.handlers,
            options=[("grpc.max_receive_message_length", _MAX_REQUEST_BYTES), ("grpc.so_reuseport", 0)],
        )
        try:
            self.port = fresh_port(self._server.add_insecure_port, host, port)
        except RuntimeError as error:
            raise OSError(f"Pub/Sub cannot listen on {host}:{port}; is another one running there? ({error})") from error
        self.address = f"{host}:{self.port}"

    def start(self) -> Self:
        """Begin to serve and to push."""
        self._server.start()
        self._push.start()
        return self

    def stop(self) -> None:
        """End the calls and the posts that are under way, then everything."""
        self._push.stop()
        self._server.stop(grace=0.2).wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
