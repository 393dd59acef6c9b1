"""``python -m local.pubsub --port 8085``: the embedded Pub/Sub in a process of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from local.identity import Issuer
from local.pubsub.server import PubsubServer
from vertex_emulator.ending import on_signal


def main() -> None:
    """Serve until interrupted; the first line on standard output says where."""
    parser = argparse.ArgumentParser(prog="python -m local.pubsub", description="An embedded Pub/Sub.")
    parser.add_argument("--port", type=int, default=8085, help="0 lets the system choose (default: 8085)")
    parser.add_argument("--max-in-flight", type=int, default=10, help="posts under way per subscription (default: 10)")
    parser.add_argument("--key", type=Path, help="PEM file of the key that signs the tokens of push requests")
    arguments = parser.parse_args()
    mint = Issuer.load(arguments.key).mint if arguments.key else None
    told_to_end = on_signal()
    with PubsubServer(arguments.port, mint=mint, max_in_flight=arguments.max_in_flight) as server:
        print(f"PUBSUB_EMULATOR_HOST={server.address}", flush=True)
        told_to_end()


if __name__ == "__main__":
    main()
