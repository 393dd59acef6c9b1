"""Vertex AI and Cloud Monitoring in a process of their own: ``python -m local.vertex``.

One gRPC server for both, as the emulator's own command has it, plus what ties them to the rest of the local cloud: log entries go to
Pub/Sub as a sink exports them, what was served becomes metrics, incidents go to their channels, and every traffic split that was
ever in force is appended to a file, so that a demo or a test can hold the invariant against all of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from local.sinks import LogSinks
from vertex_emulator.config import config_from
from vertex_emulator.ending import on_signal
from vertex_emulator.garbage import collect_rarely
from vertex_emulator.history import EndpointSnapshot
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.server import Emulator


def main(arguments: list[str] | None = None) -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(prog="python -m local.vertex", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pubsub", required=True, help="address of the Pub/Sub to export to")
    parser.add_argument("--project", required=True)
    parser.add_argument("--config", default="{}", help="JSON object with the keys of vertex_emulator.config.Config")
    parser.add_argument("--splits", type=Path, help="file to which every traffic split is appended")
    parser.add_argument("--metrics-delay", type=float, default=60, help="seconds until a point can be read")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    told_to_end = on_signal()
    sinks = LogSinks(options.pubsub, options.project)
    config = config_from(json.loads(options.config))
    number = config.projects.get(options.project, "123456789012")
    monitoring = Monitoring(
        sinks.publish, options.metrics_delay, project_id=options.project, project_number=int(number)
    )
    emulator = Emulator(
        config,
        sink=monitoring.sink,
        log_sink=sinks.export,
        on_change=_splits_to(options.splits),
        seed=options.seed,
        extra_handlers=monitoring.handlers(),
    )
    monitoring.start()
    collect_rarely()
    print(f"VERTEX_EMULATOR_HOST={emulator.start(options.port)}", flush=True)
    told_to_end()
    emulator.stop()
    monitoring.stop()


def _splits_to(path: Path | None) -> Callable[[EndpointSnapshot], None] | None:
    if path is None:
        return None
    file = path.open("a", buffering=1)

    def write(snapshot: EndpointSnapshot) -> None:
        file.write(json.dumps({**asdict(snapshot), "sound": snapshot.is_sound}, default=_plain) + "\n")

    return write


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset | set) else str(value)


if __name__ == "__main__":
    main()
