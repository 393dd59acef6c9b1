"""Ignorance is not evidence: what is borne for how long, and what follows."""

from __future__ import annotations

import grpc
import pytest

from local.identity import Issuer
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import judged

LISTING = "MetricService/ListTimeSeries"


def begin(cloud: Cloud, **rollout: object) -> None:
    cloud.apply(judged(rollout=rollout))
    cloud.deploy("run-1")
    cloud.deploy("run-2")


def test_without_data_nothing_advances_and_after_a_while_it_pauses(cloud: Cloud, signed: Issuer) -> None:
    begin(cloud, no_data={"after": "15m", "then": "pause"})
    cloud.minutes(14, requests=0)
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.rollout("2").hold is None
    cloud.minutes(5, requests=0)
    assert cloud.rollout("2").hold is not None
    assert "no error_rate from the candidate since" in cloud.rollout("2").sentence
    cloud.tell("resume", "2")
    cloud.minutes(9)
    assert cloud.split() == {"1": 50, "2": 50}


def test_without_data_it_rolls_back_where_the_policy_says_so(cloud: Cloud) -> None:
    begin(cloud, no_data={"after": "10m", "then": "roll_back"})
    cloud.minutes(14, requests=0)
    assert cloud.split() == {"1": 100}
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK


def test_metrics_that_cannot_be_read_pause_after_a_while(cloud: Cloud, signed: Issuer) -> None:
    begin(cloud, provider_error={"after": "10m", "then": "pause"})
    cloud.minutes(2)
    cloud.monitoring.calls.fail(LISTING, grpc.StatusCode.UNAVAILABLE, times=10_000)
    cloud.minutes(8)
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.rollout("2").hold is None
    cloud.minutes(6)
    assert cloud.rollout("2").hold is not None
    assert "metrics could not be read for" in cloud.rollout("2").sentence


def test_a_short_failure_of_the_provider_only_delays(cloud: Cloud) -> None:
    begin(cloud)
    cloud.minutes(3)
    cloud.monitoring.calls.fail(LISTING, grpc.StatusCode.PERMISSION_DENIED, times=2)
    cloud.minutes(6)
    assert cloud.split() == {"1": 50, "2": 50}


def test_too_few_requests_neither_advance_nor_roll_back_until_the_deadline(cloud: Cloud) -> None:
    begin(cloud, deadline={"after": "40m", "then": "pause"})
    cloud.minutes(38, requests=10)
    assert cloud.split() == {"1": 90, "2": 10}
    assert cloud.rollout("2").hold is None
    cloud.minutes(3, requests=10)
    assert cloud.rollout("2").hold is not None
    assert "the stage has not ended within 40m" in cloud.rollout("2").sentence


def test_harm_rolls_back_even_what_is_paused(cloud: Cloud, signed: Issuer) -> None:
    begin(cloud)
    cloud.tell("pause", "2")
    cloud.minutes(7, errors={"2": 0.4})
    assert cloud.split() == {"1": 100}


@pytest.mark.parametrize(
    ("then", "split", "is_held"),
    [("hold", {"1": 90, "2": 10}, False), ("pause", {"1": 90, "2": 10}, True), ("roll_back", {"1": 100}, False)],
)
@pytest.mark.parametrize("kind", ["no_data", "provider_error", "deadline"])
def test_every_patience_ends_as_the_policy_says(
    cloud: Cloud, kind: str, then: str, split: dict[str, int], is_held: bool
) -> None:
    begin(cloud, **{kind: {"after": "20m", "then": then}})
    if kind == "provider_error":
        cloud.minutes(1)
        cloud.monitoring.calls.fail(LISTING, grpc.StatusCode.UNAVAILABLE, times=10_000)
    requests = {"no_data": 0, "provider_error": 300, "deadline": 10}[kind]
    cloud.minutes(17, requests=requests)
    assert cloud.split() == {"1": 90, "2": 10}, "it is borne for a while"
    cloud.minutes(12, requests=requests)
    assert cloud.split() == split
    rollout = cloud.rollout("2")
    assert (rollout.hold is not None) == is_held
    assert rollout.phase is (Phase.ROLLED_BACK if then == "roll_back" else Phase.CANARY)
