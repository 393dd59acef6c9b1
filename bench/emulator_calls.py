"""What is called of the emulator, and how many calls per second a client gets answered."""

from __future__ import annotations

import threading
import time

import grpc

METHODS = {
    "get": "/google.cloud.aiplatform.v1.EndpointService/GetEndpoint",
    "list": "/google.cloud.aiplatform.v1.EndpointService/ListEndpoints",
    "update": "/google.cloud.aiplatform.v1.EndpointService/UpdateEndpoint",
    "model": "/google.cloud.aiplatform.v1.ModelService/GetModel",
    "predict": "/google.cloud.aiplatform.v1.PredictionService/Predict",
}
WORKERS = 32
"""Threads of both servers."""


def answer(address: str, name: str, request: bytes) -> bytes:
    """One answer, as bytes."""
    with grpc.insecure_channel(address) as channel:
        found: bytes = channel.unary_unary(METHODS[name], None, None)(request, timeout=10)
        return found


def calls_per_second(address: str, name: str, request: bytes, clients: int, seconds: float) -> float:
    """How many calls so many clients get answered, each making one after the other; nothing is parsed here."""
    counts = [0] * clients
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(METHODS[name], None, None)
        call(request, timeout=10)
        started = time.perf_counter()
        until = started + seconds

        def go_on(client: int) -> None:
            while time.perf_counter() < until:
                call(request, timeout=10)
                counts[client] += 1

        threads = [threading.Thread(target=go_on, args=(client,)) for client in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - started)
