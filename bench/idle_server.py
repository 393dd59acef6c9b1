"""A gRPC server that does nothing: it answers what it was given at the start, whatever is asked. ``python -m bench.idle_server``."""

from __future__ import annotations

import argparse
import base64
from concurrent import futures

import grpc

from bench.emulator_calls import METHODS, WORKERS
from vertex_emulator.ending import on_signal


def main() -> None:
    """Serve until terminated; prints its address."""
    parser = argparse.ArgumentParser()
    for name in METHODS:
        parser.add_argument(f"--{name}", required=True, type=base64.b64decode, help="the answer, in base64")
    answers = vars(parser.parse_args())
    told_to_end = on_signal()
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS))
    for name, path in METHODS.items():
        service, method = path.strip("/").split("/")
        handler = grpc.unary_unary_rpc_method_handler(_constant(answers[name]))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    told_to_end()
    server.stop(0.2).wait()


def _constant(answer: bytes):  # type: ignore[no-untyped-def]  # what grpc calls a behaviour
    return lambda _request, _context: answer


if __name__ == "__main__":
    main()
