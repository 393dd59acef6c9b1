"""``python -m vertex_emulator faults|state|metrics|permissions ...``: handle an emulator that runs, from the command line.

It is found at ``--address``, else where ``VERTEX_EMULATOR_HOST`` says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import wrappers_pb2

from vertex_emulator.administration import LARGEST_MESSAGE, SERVICE, read_state, write_state
from vertex_emulator.errors import ApiError
from vertex_emulator.faults import Kind

COMMANDS = ("faults", "state", "metrics", "permissions")
_SECONDS = 60.0


def call(address: str, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Make one administrative call; raises ``grpc.RpcError``."""
    limits = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.max_send_message_length", LARGEST_MESSAGE)]
    with grpc.insecure_channel(address, options=limits) as channel:
        ask = channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=wrappers_pb2.StringValue.SerializeToString,
            response_deserializer=wrappers_pb2.StringValue.FromString,
        )
        answer = ask(wrappers_pb2.StringValue(value=json.dumps(request)), timeout=_SECONDS)
    found: dict[str, Any] = json.loads(answer.value)
    return found


def main(arguments: list[str]) -> int:
    """Carry out one command; 2 where it cannot be."""
    options = _parser().parse_args(arguments)
    if not options.address:
        print("Say where the emulator is: --address HOST:PORT, or the variable VERTEX_EMULATOR_HOST.", file=sys.stderr)
        return 2
    try:
        options.run(options)
    except grpc.RpcError as error:
        print(f"{options.address}: {error.details()}", file=sys.stderr)
        return 2
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"{getattr(options, 'file', '')}: {error}", file=sys.stderr)
        return 2
    return 0


def _add_fault(options: argparse.Namespace) -> None:
    names = ("kind", "method", "code", "message", "seconds", "probability", "seed", "resource")
    request = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    request["times"] = None if options.always else options.times
    print(call(options.address, "PlanFault", request)["id"])


def _list_faults(options: argparse.Namespace) -> None:
    for fault in call(options.address, "ListFaults", {})["faults"]:
        print(json.dumps(fault))


def _clear_faults(options: argparse.Namespace) -> None:
    call(options.address, "ClearFaults", {"id": options.id} if options.id else {})


def _save(options: argparse.Namespace) -> None:
    write_state(options.file, call(options.address, "SaveState", {})["state"])


def _load(options: argparse.Namespace) -> None:
    call(options.address, "LoadState", {"state": read_state(options.file)})


def _reset(options: argparse.Namespace) -> None:
    call(options.address, "ResetState", {})


def _inject(options: argparse.Namespace) -> None:
    text = sys.stdin.read() if str(options.file) == "-" else options.file.read_text()
    print(call(options.address, "InjectMetrics", json.loads(text))["points"])


def _delay(options: argparse.Namespace) -> None:
    request = {"by_metric": {options.metric: options.seconds}} if options.metric else {"default": options.seconds}
    call(options.address, "SetMetricsDelay", request)


def _permissions(options: argparse.Namespace) -> None:
    for used in call(options.address, "ListPermissions", {})["permissions"]:
        doubt = "" if used["is_verified"] else "  (unverified)"
        print(f"{used['permission']}  {used['caller']}  {used['method']}  {used['calls']}{doubt}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vertex_emulator", description="Handle an emulator that runs.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--address", default=os.environ.get("VERTEX_EMULATOR_HOST", ""), help="HOST:PORT of its gRPC")
    groups = parser.add_subparsers(required=True, metavar="|".join(COMMANDS))
    _faults(groups.add_parser("faults", help="plan, list and clear faults").add_subparsers(required=True), common)
    state = groups.add_parser("state", help="save, load and reset the state").add_subparsers(required=True)
    for name, run in (("save", _save), ("load", _load)):
        command = state.add_parser(name, parents=[common])
        command.add_argument("file", type=Path)
        command.set_defaults(run=run)
    state.add_parser("reset", parents=[common]).set_defaults(run=_reset)
    metrics = groups.add_parser("metrics", help="inject metrics, set their delay").add_subparsers(required=True)
    inject = metrics.add_parser("inject", parents=[common])
    inject.add_argument("file", type=Path, help='JSON {"series": [...]}; - for standard input')
    inject.set_defaults(run=_inject)
    delay = metrics.add_parser("delay", parents=[common])
    delay.add_argument("seconds", type=float, help="compressed seconds until a point can be read")
    delay.add_argument("--metric", default="", help="a metric type or a prefix of it; the default of all otherwise")
    delay.set_defaults(run=_delay)
    groups.add_parser("permissions", parents=[common], help="list the IAM permissions used").set_defaults(
        run=_permissions
    )
    return parser


def _faults(commands: Any, common: argparse.ArgumentParser) -> None:
    add = commands.add_parser("add", parents=[common], help="plan a fault, and print its id")
    add.add_argument("kind", choices=[str(kind) for kind in Kind])
    add.add_argument("method", nargs="?", help="M, Service/M, Service/* or * (the default)")
    add.add_argument("--code", help="status code (UNAVAILABLE)")
    add.add_argument("--message")
    add.add_argument("--seconds", type=float, help="of a delay on the wall, of an operation in compressed time")
    add.add_argument("--times", type=int, default=1, help="how often it happens (1)")
    add.add_argument("--always", action="store_true", help="until it is cleared")
    add.add_argument("--probability", type=float, help="with which each call meets it (1)")
    add.add_argument("--seed", type=int, help="of that draw (1)")
    add.add_argument("--resource", help="a part of the resource's name, e.g. locations/us-east1/")
    add.set_defaults(run=_add_fault)
    commands.add_parser("list", parents=[common]).set_defaults(run=_list_faults)
    clear = commands.add_parser("clear", parents=[common], help="forget one fault, or all")
    clear.add_argument("id", nargs="?")
    clear.set_defaults(run=_clear_faults)
