"""The audit of what Vertex AI and Cloud Monitoring have: a report, a message, a number of calls that does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.bigquery import BigQuery
from local.identity import Issuer
from local.receiver import Receiver
from local.stepped import NUMBER, PARENT, PROJECT, REGION
from shared import topics
from shared.errors import PermanentError
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


def billed(project: str, cost: float, at: str, **more: Any) -> Any:
    """A row of the billing export, in the documented form."""
    begin = datetime.fromisoformat(at)
    return {
        "billing_account_id": "01D4EE-079462-DFD6EC",
        "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
        "sku": {
            "id": "N1CO-0000-0001",
            "description": "Vertex AI: Online/Batch Prediction N1 Predefined Instance Core running in Americas",
        },
        "usage_start_time": begin.isoformat(),
        "usage_end_time": (begin + timedelta(hours=1)).isoformat(),
        "project": {"id": project, "number": NUMBER, "name": project},
        "labels": [],
        "location": {"location": "us-central1", "country": "US", "region": "us-central1"},
        "export_time": (begin + timedelta(hours=5)).isoformat(),
        "cost": cost,
        "currency": "USD",
        "currency_conversion_rate": 1.0,
        "usage": {"amount": 14400.0, "unit": "seconds", "amount_in_pricing_units": 4.0, "pricing_unit": "hour"},
        "credits": [],
        "invoice": {"month": f"{begin:%Y%m}"},
        "cost_type": "regular",
        **more,
    }


def test_the_actual_spend_stands_beside_with_the_moment_until_which_it_is_billed(
    served: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = f"{served.now:%Y-%m}"
    with BigQuery() as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
        monkeypatch.setenv("BILLING_EXPORT", "bq://acme-billing.export.gcp_billing_export_v1_01D4EE_079462_DFD6EC")
        for row in (
            billed(PROJECT, 12.5, f"{month}-02T10:00:00+00:00"),
            billed(
                PROJECT,
                18.0,
                f"{month}-03T10:00:00+00:00",
                currency="EUR",
                currency_conversion_rate=0.9,
                credits=[{"name": "Committed use", "amount": -1.8, "type": "COMMITTED_USAGE_DISCOUNT"}],
            ),
            billed(PROJECT, 99.0, "2026-01-02T10:00:00+00:00"),
            billed("another-project", 99.0, f"{month}-02T10:00:00+00:00"),
            billed(
                PROJECT,
                99.0,
                f"{month}-02T10:00:00+00:00",
                sku={"id": "x", "description": "Vertex AI: Training/Pipelines on N1"},
            ),
            billed(
                PROJECT,
                99.0,
                f"{month}-02T10:00:00+00:00",
                service={"id": "6F81-5844-456A", "description": "Compute Engine"},
            ),
        ):
            bigquery.bill(row)
        assert served.tick("audit_costs") == 200
        assert report(tmp_path)["actual"] == {
            "month": month,
            "usd": "30.50",
            "billed_until": f"{month}-03T11:00:00+00:00",
        }, "12.50, and 18.00 EUR less 1.80 of credit, at 0.9 EUR to the dollar"
        assert "FROM `acme-billing.export.gcp_billing_export_v1_01D4EE_079462_DFD6EC`" in bigquery.queries[0]
        (page,) = (tmp_path / "reports").rglob("report.html")
        assert (
            f"<b>$30.50</b><small>billed for <i>{month}</i>, credits included, until <i>{month}-03</i> 11:00 UTC</small>"
            in page.read_text()
        )
        bigquery.refusals = [403]
        assert served.tick("audit_costs") == 200
        assert report(tmp_path)["actual"] is None, "an export that may not be read costs the report one figure"


def test_without_an_export_or_without_rows_nothing_is_said_of_spend(
    served: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BigQuery() as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
        assert served.tick("audit_costs") == 200
        assert bigquery.queries == []
        monkeypatch.setenv("BILLING_EXPORT", "acme.export.billing")
        assert served.tick("audit_costs") == 200
        assert len(bigquery.queries) == 1
        assert report(tmp_path)["actual"] is None


def test_prices_in_force_are_those_of_the_store(served: Cloud, tmp_path: Path) -> None:
    machine = {"machine": "n1-standard-4", "vcpu": 4, "memory_gb": 15, "usd_hour": "0.2", "source": "our contract"}
    file = {"schema": "prices/v1", "dated": "2026-11-28", "regions": [{"region": REGION, "machines": [machine]}]}
    served.world.store.prices.put(json.dumps(file), "ml@example.com")
    assert served.tick("audit_costs") == 200
    rows = {one["name"] or one["endpoint"]: one for one in report(tmp_path)["deployed"]}
    assert rows["legacy"]["usd_month"] == "432.00"
    with pytest.raises(PermanentError, match="has more than 900000 bytes"):
        served.world.store.prices.put("x" * 900_001, "ml@example.com")
