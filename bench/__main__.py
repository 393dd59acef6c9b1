"""``python -m bench`` runs all measurements, ``python -m bench NAME`` one with its settings, ``--list`` says which there are."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from types import ModuleType

from bench import assessment, cold_start, detection, emulator, intake, performance, rollback
from bench.scale import growth
from bench.trial import BenchError

BENCHES: dict[str, ModuleType] = {
    "cold_start": cold_start,
    "rollback": rollback,
    "detection": detection,
    "emulator": emulator,
    "scale": growth,
    "intake": intake,
    "assessment": assessment,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when something that was to be measured did not happen."""
    options = _options(arguments)
    if options.list:
        for name, bench in BENCHES.items():
            print(f"{name:<12}{_first_line(bench)}")
        return 0
    found = {}
    for name in [options.bench] if options.bench else list(BENCHES):
        # Without a name every bench has its own defaults.
        settings = options if options.bench else _options([name])
        began = time.monotonic()
        if options.save or not options.bench:
            print(f"bench {name}: {_first_line(BENCHES[name])}", file=sys.stderr, flush=True)
        try:
            results = BENCHES[name].run(settings)
        except BenchError as exc:
            print(f"bench {name}: {exc}", file=sys.stderr)
            return 1
        found[name] = BENCHES[name].as_json(results)
        if options.save:
            kept = {k: v for k, v in vars(settings).items() if k not in ("bench", "json", "list", "save")}
            shown = BENCHES[name].show(results)
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            performance.save(name, _machine(), now, _versions(), found[name], shown, kept)
            performance.render()
        if not options.json:
            print(f"{name}: {time.monotonic() - began:.0f} s on {_machine()}\n\n{BENCHES[name].show(results)}\n")
    if options.json:
        print(json.dumps({"machine": _machine(), **found}, indent=2))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    general = argparse.ArgumentParser(add_help=False)
    general.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    general.add_argument(
        "--save", action="store_true", default=argparse.SUPPRESS, help="keep results, and write docs/performance.md"
    )
    parser = argparse.ArgumentParser(prog="python -m bench", description="The measurements.", parents=[general])
    parser.add_argument("--list", action="store_true", help="say which there are, and run nothing")
    parsers = parser.add_subparsers(dest="bench", metavar="NAME")
    for name, bench in BENCHES.items():
        bench.add_arguments(
            parsers.add_parser(name, help=_first_line(bench), description=bench.__doc__, parents=[general])
        )
    options = parser.parse_args(arguments)
    options.json = getattr(options, "json", False)
    options.save = getattr(options, "save", False)
    return options


def _first_line(bench: ModuleType) -> str:
    return (bench.__doc__ or "").splitlines()[0]


def _versions() -> dict[str, str]:
    """Of what the numbers depend on most."""
    packages = ("functions-framework", "google-cloud-aiplatform", "grpcio", "protobuf", "pydantic")
    return {package: version(package) for package in packages}


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
