"""``make up``: the whole system, left running to play with.

The policies of ``infra/policies`` are applied, v1 of the worked example is registered and gets the endpoint, and predictions flow. The
addresses are printed as ``NAME=value`` lines, which a shell can read and the command line ``rollouts`` needs. Ctrl-C ends everything.
"""

from __future__ import annotations

import argparse
import base64
import json
import shlex
import signal
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from local.alert_policies import make_error_alert, make_webhook
from local.cloud import PROJECT, REGION, ROOT, LocalCloud, Settings
from local.quality_reporter import QualityReporter
from local.quality_reporter import connect as connect_metrics
from local.scheduler import Job
from local.story import V1, V2, V3, V4
from local.traffic import Traffic
from local.training import Run, announce, training_message, write_artifact
from shared import clock, topics
from shared.policy.loading import load_policies
from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.store.store import Store
from shared.vertex.endpoints import Endpoints
from shared.wiring import store_from_env

POLICIES = ROOT / "infra" / "policies"
EXAMPLE = "arr-coc-relevance"
OPERATOR = "operator@example.com"
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
        "--rate", type=float, default=1.0, help="compressed seconds per second; 60 makes an hour a minute"
    )
    parser.add_argument("--rps", type=float, default=20.0, help="real predictions per second")
    parser.add_argument("--seed", type=int, default=1, help="another run of luck")
    parser.add_argument("--folder", type=Path, default=Path(".run/up"), help="store, logs, artifacts; emptied first")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            _run(stack, options)
    except KeyboardInterrupt:
        _say("stopped")
    return 0


def _run(stack: ExitStack, options: argparse.Namespace) -> None:
    _say("starting ...")
    policies = [loaded.policy for loaded in load_policies([POLICIES])]
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
    # Called before the cloud ends: a second Ctrl-C does not leave half of its processes behind.
    stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
    stack.callback(signal.signal, signal.SIGTERM, signal.SIG_IGN)
    store = store_from_env()
    stack.callback(store.close)
    for policy in policies:
        store.put_policy(policy, OPERATOR, clock.now())
    example = next(policy for policy in policies if policy.model == EXAMPLE)
    _prepare(cloud, example, options.seed)
    _tell(cloud)
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
    """What is there before anything happens: artifacts, an alert policy, a message per training run to be sent by hand."""
    runs = cloud.settings.folder / "runs"
    runs.mkdir()
    for run in (V1, V2, V3, V4):
        write_artifact(cloud.buckets, run, seed)
        (runs / f"{run.id}.json").write_text(json.dumps(_push_body(run)))
    url = f"{cloud.url('receive_alert')}?auth_token={cloud.alert_token}"
    channel = make_webhook(cloud.vertex, PROJECT, url)
    make_error_alert(cloud.vertex, PROJECT, policy.targets[0].endpoint, REGION, channel, share=0.05)


def _push_body(run: Run) -> dict[str, object]:
    """A training run's message as Pub/Sub pushes it."""
    data = base64.b64encode(training_message(run, EXAMPLE)).decode()
    return {"message": {"data": data, "messageId": f"by-hand-{run.id}"}, "subscription": "by-hand"}


def _environment(cloud: LocalCloud) -> dict[str, str]:
    """What the command line and other programs need to find this system, and to be somebody in it."""
    token = cloud.issuer.mint(OPERATOR, cloud.environment["COMMAND_AUDIENCE"], TOKEN_SECONDS)
    shown = {name: cloud.environment[name] for name in SHOWN}
    return shown | {"ROLLOUTS_COMMAND_URL": cloud.url("receive_command"), "ROLLOUTS_ID_TOKEN": token}


def _tell(cloud: LocalCloud) -> None:
    """The addresses, a file that a shell can read them from, and what to try."""
    shown = _environment(cloud)
    file = cloud.settings.folder / "environment"
    file.touch(mode=0o600)
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in shown.items()))
    for name, value in shown.items():
        _say(f"{name}={value}")
    topic = f"projects/{PROJECT}/topics/{topics.TRAINING_COMPLETED}"
    _say(
        f"""
Everything runs; v1 of {EXAMPLE} is on its way. In another terminal:

  . {file}
  rollouts list
  rollouts get ROLLOUT
  rollouts history {EXAMPLE}

Announce another training run (run-2 is good, run-3 fails and spends too many tokens, run-4 is good):

  curl --retry 60 --retry-delay 2 --retry-all-errors -fsS -H 'Content-Type: application/json' \\
    --data @{cloud.settings.folder}/runs/run-2.json {cloud.url("register_model")}/{topic}

The logs are in {cloud.settings.folder / "logs"}. Ctrl-C ends everything.
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
