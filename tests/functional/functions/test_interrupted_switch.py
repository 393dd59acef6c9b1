"""A switch of endpoints is two writes at most: whatever becomes of either, one endpoint is live and answers, and the end is the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.cloud import LIVE_BUCKET
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.live_object import OBJECT, write_fails_once
from tests.functional.functions.policies import ENDPOINT
from tests.functional.functions.test_blue_green import GREEN, answers, deploy, pair, serve

FAULTS: dict[str, Callable[[Cloud], None]] = {
    "the split's answer is lost": lambda cloud: cloud.emulator.faults.lose_answer("UpdateEndpoint"),
    "the pointer is not written": lambda cloud: write_fails_once(cloud, "before"),
    "the pointer's answer is lost": lambda cloud: write_fails_once(cloud, "after"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_switch_that_is_interrupted_between_its_writes_is_taken_up_again(
    cloud: Cloud, version: str, fault: str
) -> None:
    cloud.apply(pair())
    for run in range(1, int(version)):
        deploy(cloud, f"run-{run}")
    cloud.register(f"run-{version}")
    cloud.settle()
    for minutes in (0, 1, 1, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
    assert cloud.rollout(version).phase is Phase.DEPLOYING
    FAULTS[fault](cloud)
    for minutes in (10, 1, 1, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
        if cloud.storage.names(LIVE_BUCKET):
            answers(cloud)
    assert cloud.rollout(version).phase is Phase.WATCHING, cloud.rollout(version).sentence
    assert answers(cloud) == ((ENDPOINT, "1") if version == "1" else (GREEN, "2"))
    assert cloud.decisions(version).count("promote") == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_switch_back_whose_write_or_answer_is_lost_is_repeated_until_it_stands(cloud: Cloud, when: str) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    deploy(cloud, "run-2")
    serve(cloud, 5)
    write_fails_once(cloud, when)
    alarm = cloud.alarm(endpoint=GREEN)
    assert cloud.wake("roll_back", alarm) == 500
    assert answers(cloud) == ((GREEN, "2") if when == "before" else (ENDPOINT, "1"))
    assert cloud.wake("roll_back", alarm) == 200
    cloud.settle()
    cloud.tick("assess_rollouts")
    cloud.settle()
    assert answers(cloud) == (ENDPOINT, "1")
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
    assert cloud.decisions("2").count("roll_back") == 1


def test_another_writer_between_our_read_and_our_write_costs_another_pair(cloud: Cloud) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    deploy(cloud, "run-2")
    serve(cloud, 5)

    def other(method: str, name: str) -> None:
        if method == "insert":
            cloud.storage.before = lambda method, name: None
            found = cloud.storage.get(LIVE_BUCKET, name)
            content = cloud.storage.content(LIVE_BUCKET, name)
            cloud.storage.insert(LIVE_BUCKET, name, content, {"metadata": found["metadata"]}, None)

    cloud.storage.before = other
    assert cloud.wake("roll_back", cloud.alarm(endpoint=GREEN)) == 200
    assert answers(cloud) == (ENDPOINT, "1")


def test_a_switch_back_needs_neither_store_nor_metrics(cloud: Cloud) -> None:
    cloud.apply(pair())
    deploy(cloud, "run-1")
    deploy(cloud, "run-2")
    serve(cloud, 5)
    alarm = cloud.alarm(endpoint=GREEN)
    with cloud.without_store():
        assert cloud.wake("roll_back", alarm) == 500, "the ledger cannot be written yet"
        assert cloud.storage.text(LIVE_BUCKET, OBJECT).count(f'endpoints/{ENDPOINT}"') == 1
    assert cloud.wake("roll_back", alarm) == 200
    assert cloud.rollout("2").phase is Phase.ROLLED_BACK
