"""What is stored: read back as it was written, also by the version before and after."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.rollout.evidence import EVIDENCE, Evidence
from shared.rollout.record import (
    LEDGER_ENTRY,
    ROLLOUT,
    CheckResult,
    Hold,
    LedgerEntry,
    Operation,
    Phase,
    Rollout,
    Shift,
    Stop,
    Verdict,
    worst,
)
from tests.unit.rollout.worlds import NOW, REF, TRIAL, latencies, rollout, served

MOMENTS = st.integers(0, 10**14).map(lambda us: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
TEXT = st.text(max_size=20)
SPLITS = st.dictionaries(TEXT, st.integers(0, 100), max_size=3)
CHECKS = st.lists(
    st.builds(CheckResult, TEXT, st.sampled_from(Verdict), TEXT, st.none() | st.floats(-1e9, 1e9)), max_size=2
).map(tuple)
ROLLOUTS = st.builds(
    Rollout,
    id=st.just(TRIAL),
    model=TEXT,
    version=TEXT,
    target=st.just(REF),
    target_index=st.integers(0, 9),
    policy_version=st.integers(1, 9),
    phase=st.sampled_from(Phase),
    created_at=MOMENTS,
    updated_at=MOMENTS,
    phase_since=MOMENTS,
    stage_since=st.none() | MOMENTS,
    not_before=st.none() | MOMENTS,
    resumed_at=st.none() | MOMENTS,
    pinned=SPLITS,
    operation=st.none()
    | st.builds(Operation, st.sampled_from(["create_endpoint", "deploy", "set_replicas", "undeploy"]), TEXT, MOMENTS),
    shift=st.none()
    | st.builds(Shift, SPLITS, st.integers(0, 9), st.sampled_from(Phase), MOMENTS, TEXT, checks=CHECKS, before=SPLITS),
    hold=st.none() | st.builds(Hold, TEXT, TEXT, MOMENTS),
    stop=st.none() | st.builds(Stop, st.sampled_from(Phase), TEXT, TEXT, MOMENTS),
)


@given(ROLLOUTS)
@settings(max_examples=50)
def test_a_rollout_is_read_back_as_it_was_written(record: Rollout) -> None:
    assert ROLLOUT.validate_json(ROLLOUT.dump_json(record)) == record
    assert ROLLOUT.validate_python(json.loads(json.dumps(ROLLOUT.dump_python(record, mode="json")))) == record


@given(CHECKS, st.none() | SPLITS, st.none() | MOMENTS)
@settings(max_examples=50)
def test_a_ledger_entry_is_read_back_as_it_was_written(
    checks: tuple[CheckResult, ...], split: dict[str, int] | None, began_at: datetime | None
) -> None:
    entry = LedgerEntry(
        "e", TRIAL, "churn", NOW, "advance", "why", checks=checks, traffic_before=split, began_at=began_at
    )
    assert LEDGER_ENTRY.validate_json(LEDGER_ENTRY.dump_json(entry)) == entry


RECORDS: list[tuple[TypeAdapter[Any], Any]] = [
    (ROLLOUT, rollout()),
    (LEDGER_ENTRY, LedgerEntry("e", TRIAL, "churn", NOW, "advance", "why")),
    (
        EVIDENCE,
        Evidence(TRIAL, NOW, newer={"1": served(5, 1, latency_ms=latencies(12, 30))}, heard={"error_rate": NOW}),
    ),
]
NAMES = ["rollout", "ledger entry", "evidence"]


@pytest.mark.parametrize(("adapter", "record"), RECORDS, ids=NAMES)
def test_a_key_of_a_later_version_is_passed_over(adapter: TypeAdapter[Any], record: Any) -> None:
    """Functions can be downgraded in the middle of a rollout."""
    body = adapter.dump_python(record, mode="json") | {"from_the_future": {"a": 1}}
    assert adapter.validate_python(body) == record


@pytest.mark.parametrize(("adapter", "record"), RECORDS, ids=NAMES)
def test_a_record_of_the_version_before_lacks_what_came_later(adapter: TypeAdapter[Any], record: Any) -> None:
    later = {"resumed_at", "heard"} & {f.name for f in fields(record)}
    body = {key: value for key, value in adapter.dump_python(record, mode="json").items() if key not in later}
    assert adapter.validate_python(body)


def test_a_phase_is_open_on_trial_or_over() -> None:
    assert {p for p in Phase if p.is_open} == {
        Phase.QUEUED,
        Phase.SHADOW,
        Phase.EXPERIMENT,
        Phase.DEPLOYING,
        Phase.CANARY,
        Phase.WATCHING,
    }
    assert {p for p in Phase if p.is_trial} == {Phase.SHADOW, Phase.EXPERIMENT, Phase.DEPLOYING, Phase.CANARY}


def test_a_change_of_phase_restarts_its_clock_and_no_other_change_does() -> None:
    later = NOW + timedelta(hours=1)
    record = rollout(Phase.CANARY)
    assert record.moved(later, phase=Phase.WATCHING).phase_since == later
    assert record.moved(later, phase=Phase.WATCHING, phase_since=NOW).phase_since == NOW
    assert record.moved(later, approved=True).phase_since == record.phase_since
    assert record.moved(later, approved=True).updated_at == later


def test_ticks_look_at_a_rollout_until_its_aliases_stand() -> None:
    assert rollout(Phase.WATCHING).is_unsettled
    assert rollout(Phase.PROMOTED, aliases_due=True).is_unsettled
    assert not rollout(Phase.PROMOTED).is_unsettled


def test_the_five_verdicts_have_an_order_and_none_at_all_is_a_pass() -> None:
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.PROVIDER_ERROR, Verdict.FAIL]
    assert list(Verdict) == order
    assert [worst(order[: n + 1]) for n in range(5)] == order
    assert worst([]) is Verdict.PASS
