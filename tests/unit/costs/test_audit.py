"""What is paid for, by whom and in which role; what is unknown; what the month will come to."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from shared.costs.audit import Audit, audit
from shared.costs.fleet_file import FleetError, fleet_json_schema, read_fleet
from shared.costs.money import usd
from shared.costs.prices import shipped
from tests.unit.costs.planted import planted

LONG_AGO = "2026-01-01T00:00:00Z"


def deployed(**more: Any) -> dict[str, Any]:
    given = {"id": "1", "model": "m", "machine": {"type": "n1-standard-4"}, "created": LONG_AGO}
    return given | {"measured": {"replicas": 1, "predictions": 100}} | more


def described(*models: dict[str, Any], **more: Any) -> str:
    endpoint = {"project": "p", "region": "us-central1", "id": "e", "created": LONG_AGO, "labels": {"owner": "o"}}
    window = {"start": "2026-10-28T00:00:00Z", "at": "2026-11-27T00:00:00Z"}
    whole = {
        "schema": "fleet/v1",
        **window,
        "endpoints": [endpoint | {"traffic": {"1": 100}, "deployed": list(models)}],
    }
    return json.dumps(whole | more)


def audited(*models: dict[str, Any], **more: Any) -> Audit:
    return audit(read_fleet(described(*models, **more), "fleet.json"), shipped())


def test_three_n1_standard_4_for_720_hours_are_471_96() -> None:
    result = audited(deployed(replicas={"min": 3, "max": 3}, measured={"replicas": 3, "predictions": 1000}))
    assert usd(result.usd) == usd(result.usd_month) == "$471.96"
    cost = result.holdings[0].cost
    assert (cost.replica_hours, cost.predictions) == (Decimal(2160), 720_000.0)
    assert cost.usd_per_thousand == Decimal("471.96") * 1000 / 720_000


def test_replica_hours_are_those_that_were_measured_not_the_maximum() -> None:
    series = [1.0] * 360 + [2.5] * 360
    result = audited(deployed(replicas={"min": 1, "max": 9}, measured={"replicas": series}))
    assert result.holdings[0].cost.replica_hours == Decimal("1260.0")


def test_each_role_and_stage_is_paid_for_to_the_second() -> None:
    history = [
        {"start": "2026-11-20T00:30:00Z", "role": "candidate", "stage": "shadow"},
        {"start": "2026-11-20T02:00:00Z", "role": "candidate", "stage": "10 %"},
        {"start": "2026-11-20T12:15:00Z", "role": "stable"},
    ]
    one = deployed(created="2026-11-20T00:30:00Z", history=history, measured={"replicas": 2})
    result = audited(one, at="2026-11-21T00:00:00Z")
    shown = [(role, stage, float(cost.replica_hours)) for role, stage, cost in result.by_role()]
    assert shown == [("candidate", "10 %", 20.5), ("candidate", "shadow", 3.0), ("stable", "", 23.5)]
    assert result.holdings[0].cost.replica_hours == Decimal("47.0")


def test_what_has_no_price_or_was_not_measured_is_unknown_and_in_no_sum() -> None:
    result = audited(
        deployed(),
        deployed(id="2", machine={"type": "m9-standard-4"}, role="candidate", rollout={"id": "r", "open": True}),
        deployed(id="3", measured={}, role="candidate", rollout={"id": "r", "open": True}),
        deployed(id="4", measured={"replicas": [1] * 700 + [None] * 20, "predictions": 1}),
    )
    assert [one.cost.usd is None for one in result.holdings] == [False, True, True, False]
    assert usd(result.usd) == "$310.27"  # 720 h and the 700 h that were measured
    assert usd(result.holdings[3].usd_month) == "$157.32"
    said = [one.lacking for one in result.unmeasured]
    assert "no price of m9-standard-4 in us-central1 is known" in said
    assert "replicas: what it cost is not known" in said
    assert "replicas in 20.00 h of its life; they are not counted" in said


def test_one_that_is_gone_has_cost_something_and_costs_nothing_any_more() -> None:
    gone = deployed(id="2", undeployed="2026-11-07T00:00:00Z")
    result = audited(deployed(), gone)
    assert usd(result.usd) == "$209.76"  # 720 h and 240 h
    assert usd(result.usd_month) == "$157.32"
    assert [f for f in result.findings if "2" in str(f.claims)] == []


def test_the_forecast_is_what_was_spent_and_the_rest_at_the_present_rate_with_the_days_seen_as_its_range() -> None:
    # Two replicas, and four on one day; the audit is on the 27th at midnight: 624 h of November are over, 96 are left.
    series = [2.0] * 720
    series[240:264] = [4.0] * 24
    result = audited(deployed(measured={"replicas": series}))
    forecast, price = result.forecast, Decimal("0.21850")
    assert forecast.month == "2026-11"
    assert usd(forecast.spent) == usd((624 * 2 + 24 * 2) * price)
    assert usd(forecast.low) == usd(forecast.spent + 96 * 2 * price)
    assert usd(forecast.high) == usd(forecast.spent + 96 * 4 * price)
    mean = (720 * 2 + 24 * 2) * price / 720
    assert usd(forecast.expected) == usd(forecast.spent + 96 * mean)
    assert forecast.low < forecast.expected < forecast.high


def test_hours_of_the_month_before_the_window_are_counted_at_the_mean_rate() -> None:
    result = audited(deployed(), start="2026-11-21T00:00:00Z", at="2026-11-27T00:00:00Z")
    assert result.forecast.unseen_hours == 480
    assert usd(result.forecast.expected) == "$157.32"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "fleet.json is not JSON"),
        (described(deployed(), at="2026-11-27T00:10:00Z"), "which are not whole steps of 3600 s"),
        (described(deployed(), unknown=1), "unknown: Extra inputs are not permitted"),
        (described(deployed(id="2")), "the traffic names 1, which is not deployed"),
        (
            described(deployed(measured={"replicas": [1, 2]})),
            "replicas of deployed model 1 has 2 values; the window has 720",
        ),
        (described(deployed(measured={"replicas": -1})), "endpoints[0].deployed[0].measured.replicas"),
        (described(deployed(replicas={"min": 3, "max": 1})), "max (1) is below min (3)"),
    ],
)
def test_a_file_that_describes_no_fleet_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(FleetError) as error:
        read_fleet(text, "fleet.json")
    assert said in str(error.value)


def test_the_published_schema_takes_what_is_taken() -> None:
    validator = Draft202012Validator(fleet_json_schema())
    validator.validate(json.loads(planted(40).file()))
    assert not validator.is_valid(json.loads(described(deployed(unknown=1))))


def test_advice_names_what_helps_what_it_costs_and_what_has_to_be_measured() -> None:
    # Computing alone takes longer than the target: no replica helps, an accelerator may.
    slow = {"replicas": 1, "predictions": 9, "cpu": 0.2, "cpu_peak": 0.3, "memory_gb": 14, "p95_ms": 300}
    endpoint = {"project": "p", "region": "us-central1", "id": "e", "created": LONG_AGO, "policy": "m"}
    whole = json.loads(described(deployed()))
    whole["endpoints"] = [
        endpoint | {"traffic": {"1": 100}, "p95_target_ms": 100, "deployed": [deployed(measured=slow)]}
    ]
    result = audit(read_fleet(json.dumps(whole), "x"), shipped())
    advice = result.advices[0]
    assert [(option.kind, option.p95_ms, usd(option.usd_month)) for option in advice.options] == [
        ("accelerator", None, "$289.80"),
        ("accelerator", None, "$427.99"),
    ]
    assert [(f.kind, f.saving) for f in result.findings] == [("too_small_slow", None)]
