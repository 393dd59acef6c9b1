"""``python -m vertex_emulator --port 8090 --tls --rest-port 8091``: the emulator as a process of its own.

Vertex AI and Cloud Monitoring are served on one port; what is predicted can be read as metrics and raises alerts. It prints
the variables by which programs find it, one a line, once it can be called; the last line says that it is ready.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from vertex_emulator import control
from vertex_emulator.administration import read_state, write_state
from vertex_emulator.config import Config, load_config
from vertex_emulator.ending import on_signal
from vertex_emulator.errors import ApiError
from vertex_emulator.garbage import collect_rarely
from vertex_emulator.stack import LocalVertex, Ports


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted, or handle an emulator that runs (``control.py``)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in control.COMMANDS:
        return control.main(arguments)
    options = _parser().parse_args(arguments)
    try:
        config = load_config(options.config) if options.config else Config()
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"The configuration {options.config} cannot be used: {error}", file=sys.stderr)
        return 2
    told_to_end = on_signal()

    def write(entry: dict[str, Any]) -> None:
        with options.logs.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    wants_tls = options.tls or options.tls_port is not None
    local = LocalVertex(
        config,
        certificates=options.certificates if wants_tls else None,
        has_rest=options.rest_port is not None,
        ports=Ports(options.port, options.tls_port or 0, options.rest_port or 0),
        seed=options.seed,
        log_sink=write if options.logs else None,
    )
    try:
        if options.state and options.state.exists():
            local.emulator.load(read_state(options.state))
        local.start()
    except ApiError as error:
        print(error.message, file=sys.stderr)
        local.stop()
        return 2
    except (OSError, RuntimeError) as error:
        print(f"The emulator cannot listen: {error}. Choose other ports, or 0 for free ones.", file=sys.stderr)
        local.stop()
        return 2
    for name, value in local.environment().items():
        print(f"{name}={value}")
    if local.tls_address:
        print(f"# aiplatform.init(api_endpoint={local.tls_address!r}, credentials=AnonymousCredentials(), ...)")
    collect_rarely()
    print("# Ready.", flush=True)
    told_to_end()
    if options.state:
        write_state(options.state, local.emulator.save())
    local.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vertex_emulator",
        description="A local Vertex AI and Cloud Monitoring.",
        epilog=f"To handle one that runs: python -m vertex_emulator {'|'.join(control.COMMANDS)} --help",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 chooses a free one")
    parser.add_argument("--tls", action="store_true", help="serve gRPC with TLS too, under a certificate made for it")
    parser.add_argument("--tls-port", type=int, help="its port (implies --tls); a free one if not given")
    parser.add_argument(
        "--certificates",
        type=Path,
        default=Path.home() / ".cache" / "vertex_emulator",
        help="folder of the certificate, used again while it is valid (default: %(default)s)",
    )
    parser.add_argument(
        "--rest-port", type=int, help="serve REST on this port, with TLS too under --tls; 0 chooses one"
    )
    parser.add_argument("--config", type=Path, help="JSON file with the keys of vertex_emulator.config.Config")
    parser.add_argument("--seed", type=int, default=1, help="decides which model gets which request, and all ids")
    parser.add_argument("--state", type=Path, help="file of the state: loaded if it is there, saved at the end")
    parser.add_argument("--logs", type=Path, help="file to which log entries are appended, one JSON line each")
    return parser


if __name__ == "__main__":
    sys.exit(main())
