"""How long the status page takes with many rollouts: ``python -m bench.page [--rollouts 1000]``.

The real function in its own server, a store with so many open rollouts and as many that have ended, a local Vertex AI and Monitoring. What is
measured is one request after another, from the socket to the last byte.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from bench.events import event_for
from bench.served import Served
from bench.subjects import prepare
from bench.trial import CANDIDATE, STABLE, TrialCloud
from shared.identity import ASSERTION
from shared.rollout.record import LedgerEntry, Phase, Rollout
from shared.wiring import store_from_env

TIMES = 30


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (subject,) = [one for one in prepare(folder) if one.name == "status_page"]
        with TrialCloud(folder / "cloud") as cloud:
            begun = cloud.begin()
            _fill(cloud, options.rollouts)
            with Served("status_page", subject.folder, cloud.environment, folder / "home") as served:
                served.send(event_for("status_page", cloud, begun))  # as soon as it listens
                pages = {
                    "all rollouts": "/",
                    "one rollout": f"/rollouts/{begun.rollout}",
                    "a model": f"/models/{cloud.policy.model}",
                }
                print(f"{options.rollouts} rollouts in progress, as many ended; {TIMES} requests each, in milliseconds")
                for title, path in pages.items():
                    took = [_get(served.url, path, cloud) for _ in range(TIMES + 3)][3:]
                    print(f"{title:14} p50 {statistics.median(took):6.0f}  most {max(took):6.0f}")
    return 0


def _fill(cloud: TrialCloud, number: int) -> None:
    now = datetime.now(UTC)
    with closing(store_from_env()) as store:
        for i in range(number):
            at = now - timedelta(minutes=i % 500 + 30)
            opened = Rollout(
                f"many-v{i}", cloud.policy.model, str(i), replace(cloud.ref, endpoint=f"serving-{i}"), 0, 1,
                Phase.CANARY, at, at, at, 0, at, deployed_id=CANDIDATE, stable_id=STABLE, stable_version="1",
                sentence=f"Advanced v{i} to 10 % (v1 90 %, v{i} 10 %): v{i} is ready",
            )  # fmt: skip
            ended = replace(opened, id=f"past-v{i}", phase=Phase.PROMOTED)
            for one in (opened, ended):
                entry = LedgerEntry("", one.id, one.model, at, "start", "Started.", target=str(one.target))
                store.create_rollout(one, entry)


def _get(url: str, path: str, cloud: TrialCloud) -> float:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    with closing(connection):
        headers = {ASSERTION: cloud.page.assertion()}
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}")
    return took


if __name__ == "__main__":
    sys.exit(main())
