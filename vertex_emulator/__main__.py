"""``python -m vertex_emulator --port 8090 --config emulator.json``: the emulator as a process of its own."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from vertex_emulator.config import Config, load_config
from vertex_emulator.server import Emulator


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m vertex_emulator", description="A local Vertex AI over gRPC.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 chooses a free one")
    parser.add_argument("--config", type=Path, help="JSON file with the keys of vertex_emulator.config.Config")
    parser.add_argument("--seed", type=int, default=1, help="decides which model gets which request, and all ids")
    parser.add_argument("--logs", type=Path, help="file to which log entries are appended, one JSON line each")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config) if options.config else Config()
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"The configuration {options.config} cannot be used: {error}", file=sys.stderr)
        return 2
    finished = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: finished.set())

    def write(entry: dict[str, Any]) -> None:
        with options.logs.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    emulator = Emulator(config, seed=options.seed, log_sink=write if options.logs else None)
    print(f"VERTEX_EMULATOR_HOST={emulator.start(options.port)}", flush=True)
    finished.wait()
    emulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
