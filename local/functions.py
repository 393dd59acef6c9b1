"""All functions in one process: ``python -m local.functions``. The same files as in the cloud, in the real Functions Framework."""

from __future__ import annotations

import argparse
from pathlib import Path

from local.host import ThreadedHost, discover
from vertex_emulator.ending import on_signal

FUNCTIONS = Path(__file__).parent.parent / "functions"


def main() -> None:
    """Serve until terminated; the first line says where."""
    parser = argparse.ArgumentParser(prog="python -m local.functions", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FUNCTIONS)
    options = parser.parse_args()
    told_to_end = on_signal()
    with ThreadedHost(discover(options.folder), options.port) as host:
        print(f"FUNCTIONS_URL={host.url('roll_back').rpartition('/')[0]}", flush=True)
        told_to_end()


if __name__ == "__main__":
    main()
