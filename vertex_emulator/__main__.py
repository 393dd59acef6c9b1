"""``python -m vertex_emulator --port 8090 --config emulator.json``: the emulator as a process of its own.

Vertex AI and Cloud Monitoring are served on one port; what is predicted can be read as metrics and raises alerts. It prints
the two variables by which programs find them, one a line, once it can be called.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from vertex_emulator.config import Config, load_config
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.server import Emulator


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m vertex_emulator", description="A local Vertex AI and Cloud Monitoring."
    )
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
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: finished.set())

    def write(entry: dict[str, Any]) -> None:
        with options.logs.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    project, number = next(iter(config.projects.items()), ("local-project", "123456789012"))
    monitoring = Monitoring(project_id=project, project_number=int(number))
    emulator = Emulator(
        config,
        sink=monitoring.sink,
        log_sink=write if options.logs else None,
        seed=options.seed,
        extra_handlers=monitoring.handlers(),
    )
    address = emulator.start(options.port)
    monitoring.start()
    print(f"VERTEX_EMULATOR_HOST={address}\nMONITORING_EMULATOR_HOST={address}", flush=True)
    finished.wait()
    emulator.stop()
    monitoring.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
