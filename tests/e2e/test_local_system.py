"""The whole system on one machine, in its three forms: a training run is announced, and its version gets all the traffic."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.cloud import PROJECT, REGION, LocalCloud, NotInstalledError, Settings
from local.scheduler import Job
from local.training import Run, announce
from shared import clock
from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.rollout.record import Phase
from shared.store.store import Store
from shared.vertex.endpoints import Endpoints
from shared.vertex.registry import Registry
from shared.wiring import store_from_env

MODEL = "tiny"
TARGET = TargetRef(PROJECT, REGION, "tiny-serving")
RUN = Run("run-1", metrics={"auc": 0.9})
SOON = {"upload": 1, "create_endpoint": 1, "deploy": 2, "undeploy": 1, "mutate": 1}
"""Operations of some seconds, for a clock that is not compressed."""
EVERY_SECOND = (Job("assess_rollouts", timedelta(seconds=1)),)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


def policy() -> Policy:
    """The least that a policy can say: an image that the local Vertex AI simulates, and one stage."""
    content: dict[str, Any] = {
        "model": MODEL,
        "targets": [{"region": REGION, "endpoint": TARGET.endpoint}],
        "register": {"from": {"message": True}, "container": {"image": "example/tiny:1"}},
        "gate": {"metrics": [{"name": "auc", "at_least": 0.8}]},
        "machine": {"type": "n1-standard-2"},
        "rollout": {"stages": [{"traffic": 100}]},
        "notify": ["webhook://ops"],
    }
    return Policy.model_validate(content)


def until(what: str, is_true: Callable[[], bool], seconds: float) -> None:
    """Wait, in wall seconds."""
    ends = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < ends, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.05)


def has_the_traffic(store: Store, version: str) -> bool:
    return any(r.version == version and r.phase is Phase.WATCHING for r in store.rollouts_of_model(MODEL))


def deliver_one_version(settings: Settings, seconds: float) -> None:
    """From the message to the last notice, and everything that must then be the case."""
    with LocalCloud(settings) as cloud, closing(store_from_env()) as store:
        store.put_policy(policy(), "owner@example.com", clock.now())
        announce(cloud.pubsub, PROJECT, RUN, MODEL, times=2)
        until("v1 has the traffic", lambda: has_the_traffic(store, "1"), seconds)
        until("the aliases stand", lambda: not any(r.aliases_due for r in store.rollouts_of_model(MODEL)), seconds)
        until("everything is told", lambda: not store.unsent_notices(), seconds)
        endpoint = Endpoints().get(TARGET)
        assert endpoint is not None
        assert [(d.version, endpoint.share(d.id)) for d in endpoint.deployed] == [("1", 100)]
        versions = Registry().versions(PROJECT, REGION, MODEL)
        assert [(v.version, v.labels["vr-run"], set(v.aliases)) for v in versions] == [
            ("1", "message-run-1", {"champion", "default"})
        ]
        told = [e.id for e in store.ledger() if store.get_notice(e.id)]
        assert {"start", "promote"} <= {e.decision for e in store.ledger() if e.id in told}
        assert set(cloud.receiver.received) == set(told)
        assert cloud.receiver.forged == 0


def test_on_compressed_time_with_all_functions_in_one_process(tmp_path: Path) -> None:
    deliver_one_version(Settings(tmp_path / "run", rate=300), seconds=40)


def test_with_a_process_per_function_under_the_production_server(tmp_path: Path) -> None:
    deliver_one_version(Settings(tmp_path / "run", rate=300, host="process"), seconds=60)


@pytest.mark.emulator
def test_with_googles_pubsub_emulator_on_the_wall_clock(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "run", vertex={"durations": SOON}, jobs=EVERY_SECOND, pubsub="google")
    try:
        deliver_one_version(settings, seconds=90)
    except NotInstalledError as reason:
        pytest.skip(str(reason))


def test_googles_pubsub_emulator_does_not_fit_compressed_time(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it must be 1"):
        Settings(tmp_path, rate=60, pubsub="google")
