"""The audit of what Vertex AI and Cloud Monitoring have: a report, a message, a number of calls that does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.identity import Issuer
from local.receiver import Receiver
from local.stepped import NUMBER, PARENT, REGION
from shared import topics
from tests.functional.functions.harness import ONLINE, Cloud
from tests.functional.functions.policies import ENDPOINT, MODEL, policy
from vertex_emulator.metrics import Resource

HOURS = 8 * 24


def use(cloud: Cloud, endpoint: str, deployed_id: str, **measured: float) -> None:
    """What one deployed model reports at this moment, besides its replicas, which Vertex AI counts by itself."""
    resource = Resource(
        "aiplatform.googleapis.com/Endpoint",
        {"resource_container": NUMBER, "location": REGION, "endpoint_id": endpoint},
    )
    labels = {"deployed_model_id": deployed_id, "spot": "false"}
    sink = cloud.monitoring.sink
    for name, value in measured.items():
        if name == "predictions":
            sink.add(f"{ONLINE}prediction_count", labels, resource, int(value))
        else:
            metric = {"cpu": "cpu/utilization", "memory": "memory/bytes_used"}[name]
            sink.set(f"{ONLINE}{metric}", labels | {"replica_id": "0"}, resource, value)


def by_hand(cloud: Cloud, endpoint: str, deployed_id: str, replicas: int, share: int = 100) -> None:
    """An endpoint with a model that somebody deployed without us."""
    cloud.endpoints.create_endpoint({"parent": PARENT, "endpoint_id": endpoint, "endpoint": {"display_name": endpoint}})
    cloud.advance(seconds=61)
    deployed: dict[str, Any] = {
        "id": deployed_id,
        "model": f"{PARENT}/models/{MODEL}",
        "dedicated_resources": {
            "machine_spec": {"machine_type": "n1-standard-4"},
            "min_replica_count": replicas,
            "max_replica_count": replicas,
        },
    }
    traffic = {"0": share} if share else {}
    name = f"{PARENT}/endpoints/{endpoint}"
    cloud.endpoints.deploy_model({"endpoint": name, "deployed_model": deployed, "traffic_split": traffic})
    cloud.advance(minutes=15)


@pytest.fixture
def served(cloud: Cloud, signed: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One endpoint of ours with traffic, and one of somebody else without, for eight days."""
    monkeypatch.setenv("REPORTS_FOLDER", str(tmp_path / "reports"))
    cloud.apply(policy())
    cloud.deploy("run-1")
    by_hand(cloud, "legacy", "77", 3)
    own = cloud.endpoint()
    assert own is not None
    for _ in range(HOURS):
        use(cloud, ENDPOINT, own.deployed[0].id, cpu=0.4, memory=6.5 * 2**30, predictions=100)
        use(cloud, "legacy", "77", cpu=0.01, memory=2**30)
        cloud.advance(hours=1)
    return cloud


def report(tmp_path: Path) -> dict[str, Any]:
    (found,) = (tmp_path / "reports" / "costs").glob("*/report.json")
    twin: dict[str, Any] = json.loads(found.read_text())
    return twin


def test_what_is_seen_is_audited_reported_and_told(
    served: Cloud, people: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_CHANNELS", "webhook://ops")
    served.published(topics.ROLLOUT_CHANGED)
    assert served.tick("audit_costs") == 200
    twin = report(tmp_path)
    rows = {one["name"] or one["endpoint"]: one for one in twin["deployed"]}
    assert rows["legacy"]["machine"] == "n1-standard-4"
    assert rows["legacy"]["usd_month"] == "471.96"
    assert rows["legacy"]["predictions"] == 0, "no series of predictions beside one of replicas is no traffic"
    assert rows[ENDPOINT]["role"] == "stable"
    assert rows[ENDPOINT]["usd_month"] == "78.66"
    assert Decimal(rows[ENDPOINT]["predictions"]) >= 100 * (HOURS - 2)
    found = {one["kind"]: one for one in twin["findings"]}
    assert found["endpoint_without_traffic"]["saving_usd_month"] == twin["saving_usd_month"] == "471.96"
    assert found["endpoint_without_owner"]["endpoint"].endswith("/legacy")
    assert sorted(path.name for path in (tmp_path / "reports").rglob("*.*")) == [
        "costs.csv",
        "findings.csv",
        "report.html",
        "report.json",
    ]
    for message in served.published(topics.ROLLOUT_CHANGED):
        assert served.wake("notify", message.data) == 200
    (told,) = people.notices
    assert "$550.62 a month on 2 endpoints; $471.96 of it could be saved (86 %)" in json.dumps(told)


def test_the_next_audit_says_what_changed_and_knows_the_machine_of_what_is_gone(served: Cloud, tmp_path: Path) -> None:
    assert served.tick("audit_costs") == 200
    name = f"{PARENT}/endpoints/legacy"
    served.endpoints.undeploy_model({"endpoint": name, "deployed_model_id": "77"})
    served.advance(hours=24)
    assert served.tick("audit_costs") == 200
    _, second = sorted((tmp_path / "reports" / "costs").glob("*/report.json"))
    twin = json.loads(second.read_text())
    gone = next(one for one in twin["deployed"] if one["role"] == "gone")
    assert (gone["machine"], gone["usd_month"]) == ("n1-standard-4", "0.00")
    assert Decimal(gone["usd"]) > 100
    assert twin["change"]["usd_month"] == "-471.96"


def test_the_number_of_calls_does_not_grow_with_the_endpoints(served: Cloud) -> None:
    def calls() -> Counter[str]:
        with served.cost() as spent:
            assert served.tick("audit_costs") == 200
        return Counter({name: count for name, count in spent.items() if not name.startswith("publish:")})

    few = calls()
    for number in range(20):
        by_hand(served, f"more-{number}", f"9{number:02d}", 1)
    assert calls() == few
    assert few == {"ListEndpoints": 1, "ListTimeSeries": 10}


def test_the_command_line_audits_what_is_deployed_at_this_moment(
    served: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOCK_RATE", "2")  # at twice the pace since a moment from which it is the story's now
    monkeypatch.setenv("CLOCK_ORIGIN", f"{2 * time.time() - served.now.timestamp()}")
    done = subprocess.run(
        [sys.executable, "-m", "rollouts_cli.main", "costs", "--now", "--out", str(tmp_path / "mine")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "could be saved (86 %)" in done.stdout.splitlines()[0]
    assert (tmp_path / "mine" / "report.html").exists()
