"""``make up``: the whole system, left running to play with.

The policies of ``infra/policies`` are applied, v1 of the worked example is registered and gets the endpoint, and predictions flow. The
addresses are printed as ``NAME=value`` lines, which a shell can read and the command line ``rollouts`` needs. Ctrl-C ends everything.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from local.alert_policies import make_error_alert, make_webhook
from local.announce import EXAMPLE, RUNS
from local.cloud import OPERATOR, PROJECT, REGION, ROOT, LocalCloud, Settings
from local.compressed import by_bake_time
from local.interruption import interrupted_once
from local.quality_reporter import QualityReporter
from local.quality_reporter import connect as connect_metrics
from local.scheduler import Job
from local.story import V1
from local.traffic import Traffic
from local.training import announce, write_artifact
from shared import clock
from shared.policy.loading import load_policies
from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.store.store import Store
from shared.vertex.endpoints import Endpoints
from shared.wiring import store_from_env

POLICIES = ROOT / "infra" / "policies"
TOKEN_SECONDS = 86_400
"""How long the operator's ID token is good for, in wall seconds."""
DURATIONS = {"upload": 5, "create_endpoint": 5, "deploy": 30, "undeploy": 10, "mutate": 5, "job_queue": 5, "job": 30}
"""Seconds per operation: Vertex AI takes ten minutes for a deployment, and nobody wants to wait that long here."""
TICK = timedelta(seconds=10)
"""Between two looks at everything, in wall seconds; in the cloud it is a minute."""
SHOWN = (
    *(
        "VERTEX_EMULATOR_HOST",
        "MONITORING_EMULATOR_HOST",
        "PUBSUB_EMULATOR_HOST",
        "FUNCTIONS_URL",
        "STORE",
        "STORE_PATH",
    ),
    *("GOOGLE_CLOUD_PROJECT", "CLOCK_RATE", "CLOCK_ORIGIN"),
)


def main() -> int:
    """Until Ctrl-C, or SIGTERM; 0 then."""
    parser = argparse.ArgumentParser(prog="python -m local.up", description=__doc__)
    parser.add_argument(
        "--rate",
        type=float,
        default=float(os.environ.get("RATE", "1")),
        help="compressed seconds per second; 60 makes an hour a minute",
    )
    parser.add_argument("--rps", type=float, default=20.0, help="real predictions per second")
    parser.add_argument("--seed", type=int, default=1, help="another run of luck")
    parser.add_argument("--folder", type=Path, default=Path(".run/up"), help="store, logs, artifacts; emptied first")
    options = parser.parse_args()
    try:
        with interrupted_once(), ExitStack() as stack:
            _run(stack, options)
    except KeyboardInterrupt:
        _say("stopped")
    return 0


def _run(stack: ExitStack, options: argparse.Namespace) -> None:
    _say("starting ...")
    policies = [loaded.policy for loaded in load_policies([POLICIES])]
    if options.rate > 1:
        policies = [by_bake_time(policy) for policy in policies]
    images = tuple(policy.register_.container.image for policy in policies)
    settings = Settings(
        options.folder.resolve(),
        options.rate,
        options.seed,
        images=images,
        vertex={"durations": DURATIONS},
        jobs=_jobs(options.rate),
    )
    cloud = stack.enter_context(LocalCloud(settings))
    store = store_from_env()
    stack.callback(store.close)
    for policy in policies:
        store.put_policy(policy, OPERATOR, clock.now())
    example = next(policy for policy in policies if policy.model == EXAMPLE)
    _prepare(cloud, example, options.seed)
    _tell(cloud, options.rate)
    announce(cloud.pubsub, PROJECT, V1, EXAMPLE)
    _stay(stack, cloud, store, example, options)


def _jobs(rate: float) -> tuple[Job, ...]:
    """As in the cloud, and more often where a minute is long."""
    return (
        Job("assess_rollouts", min(TICK * rate, timedelta(minutes=1))),
        Job("find_training_runs", min(TICK * rate, timedelta(minutes=5))),
        Job("retire_models", min(TICK * rate, timedelta(minutes=10))),
    )


def _prepare(cloud: LocalCloud, policy: Policy, seed: int) -> None:
    """What is there before anything happens: the artifacts of the training runs, and an alert policy."""
    for run in RUNS.values():
        write_artifact(cloud.buckets, run, seed)
    channel = make_webhook(cloud.vertex, PROJECT, _webhook(cloud))
    make_error_alert(cloud.vertex, PROJECT, policy.targets[0].endpoint, REGION, channel, share=0.05)


def _webhook(cloud: LocalCloud) -> str:
    """Where Cloud Monitoring's incidents go; the token is who may send them."""
    return f"{cloud.url('receive_alert')}?auth_token={cloud.alert_token}"


def _environment(cloud: LocalCloud) -> dict[str, str]:
    """What the command line and other programs need to find this system, and to be somebody in it."""
    token = cloud.issuer.mint(OPERATOR, cloud.environment["COMMAND_AUDIENCE"], TOKEN_SECONDS)
    shown = {name: cloud.environment[name] for name in SHOWN}
    return shown | {
        "ROLLOUTS_COMMAND_URL": cloud.url("receive_command"),
        "ROLLOUTS_ID_TOKEN": token,
        "ALERT_URL": _webhook(cloud),
        "PAGE_URL": cloud.page.url,
    }


def _tell(cloud: LocalCloud, rate: float) -> None:
    """The addresses, a file that a shell can read them from, and what to try."""
    shown = _environment(cloud)
    file = cloud.settings.folder / "environment"
    file.touch(mode=0o600)
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in shown.items())
    # Where the command line is installed: whoever reads this file need not have activated the virtual environment.
    file.write_text(f"{exports}export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n")
    for name, value in shown.items():
        _say(f"{name}={value}")
    pace = (
        "as on the wall: a stage of 15 minutes lasts 15 minutes (RATE=30 make up: half a minute)"
        if rate == 1
        else f"{rate:g} times as fast"
    )
    _say(
        f"""
Everything runs; v1 of {EXAMPLE} is on its way. Time passes {pace}.
The status page, on which you are {OPERATOR}: {cloud.page.url}

In another terminal, first this; it brings the lines above and the command rollouts:

  . {file}
  rollouts list                     # until v1 has the traffic: "watching"

A bad version comes, gets a tenth of the traffic, and is taken back; then ask why (rollouts list --all shows the names of rollouts):

  python -m local.announce run-3    # run-2 and run-4 are good
  rollouts list --all
  rollouts explain ROLLOUT
  rollouts history {EXAMPLE}

Read what a fleet costs, and what of it is waste:

  rollouts costs --from docs/costs/fleet.json --html report.html

Change the policy; a rollout keeps the one it began with, the next has yours:

  cp infra/policies/{EXAMPLE}.yaml my-policy.yaml      # and edit it
  rollouts validate my-policy.yaml && rollouts apply my-policy.yaml --author me@example.com
  python -m local.announce run-2
  rollouts promote ROLLOUT          # to the next stage, without waiting; also pause, resume, abort

A message that is nonsense is kept, with the reason:

  python -m local.announce nonsense && rollouts dead-letters list

The logs are in {cloud.settings.folder / "logs"}; docs/tutorial.md says more of each step. Ctrl-C ends everything.
"""
    )


def _stay(stack: ExitStack, cloud: LocalCloud, store: Store, policy: Policy, options: argparse.Namespace) -> None:
    """Let predictions flow as soon as somebody can answer them, and say what happens."""
    endpoints = Endpoints()
    target = TargetRef(PROJECT, REGION, policy.targets[0].endpoint)
    is_flowing, told = False, 0
    while True:
        if not is_flowing and (endpoint := endpoints.get(target)) is not None and endpoint.split:
            _send(stack, cloud, target, options)
            is_flowing = True
            _say(f"{options.rps:g} predictions per second flow to {target.endpoint}")
        entries = store.ledger()
        for entry in entries[told:]:
            _say(f"{entry.at:%H:%M:%S} {entry.sentence}")
        told = len(entries)
        time.sleep(0.5)


def _send(stack: ExitStack, cloud: LocalCloud, target: TargetRef, options: argparse.Namespace) -> None:
    name = f"projects/{PROJECT}/locations/{REGION}/endpoints/{target.endpoint}"
    reporter = QualityReporter(connect_metrics(cloud.vertex), name).start()
    stack.callback(reporter.stop)
    traffic = Traffic(cloud.vertex, name, options.rps, options.seed, reporter.observe).start()
    stack.callback(traffic.stop)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
