"""Google leaves undocumented what a stale etag and a taken id are answered with: a rollout converges whichever it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from shared.rollout.record import Phase
from shared.vertex.endpoints import DeploySpec, Endpoints
from tests.faults.faults import Interleaved, hook_into
from tests.faults.rig import MODEL, PROJECT, REGION, TARGET, Framework, Rig, analysis_alert, policy
from vertex_emulator.config import AT_COMPLETION
from vertex_emulator.server import Emulator

ETAGS = {
    "stale etag: ABORTED": {"etag_mismatch": grpc.StatusCode.ABORTED},
    "stale etag: FAILED_PRECONDITION": {"etag_mismatch": grpc.StatusCode.FAILED_PRECONDITION},
    "stale etag: ignored": {"etag_mismatch": None},
}
IDS = {
    "taken id: ALREADY_EXISTS": {"duplicate_deployed_model": grpc.StatusCode.ALREADY_EXISTS},
    "taken id: INVALID_ARGUMENT": {"duplicate_deployed_model": grpc.StatusCode.INVALID_ARGUMENT},
    "taken id: at completion": {"duplicate_found": AT_COMPLETION},
    "taken id: at completion, INVALID_ARGUMENT": {
        "duplicate_deployed_model": grpc.StatusCode.INVALID_ARGUMENT,
        "duplicate_found": AT_COMPLETION,
    },
    "taken id: accepted": {"duplicate_deployed_model": None},
}


@pytest.fixture
def switched(request: pytest.FixtureRequest, framework: Framework, tmp_path: Path) -> Iterator[Rig]:
    """A local cloud whose Vertex AI answers in one of the ways."""
    rig = Rig(framework, tmp_path)
    switches: dict[str, Any] = request.param
    rig.emulator = Emulator(replace(rig.emulator.config, **switches), clock=lambda: rig.now)
    with rig:
        yield rig


each_etag = pytest.mark.parametrize("switched", ETAGS.values(), ids=ETAGS.keys(), indirect=True)
each_way = pytest.mark.parametrize("switched", (ETAGS | IDS).values(), ids=(ETAGS | IDS).keys(), indirect=True)
each_id = pytest.mark.parametrize("switched", IDS.values(), ids=IDS.keys(), indirect=True)


def _roll_back(rig: Rig) -> None:
    alert = analysis_alert(rig.rollout("2"), rig.now)
    while rig.post("roll_back", alert, "alert-1").status >= 300:
        rig.after(1)


def _split_by_hand(rig: Rig, stable: int) -> None:
    """Somebody moves the traffic, with an etag read a moment ago."""
    endpoints, rollout = Endpoints(), rig.rollout("2")
    endpoint = endpoints.get(TARGET)
    assert endpoint is not None
    split = {rollout.stable_id: stable, rollout.deployed_id: 100 - stable}
    endpoints.write_traffic(endpoint, split, endpoint.labels)


def _settles(rig: Rig, shares: dict[str, int]) -> None:
    for _ in range(4):
        rig.after(5)
        rig.tick()
    assert rig.shares() == shares
    assert all(snapshot.is_sound for snapshot in rig.emulator.history.of("serving"))


@each_way
def test_a_rollout_gets_its_first_share_and_advances_to_all_the_traffic(switched: Rig) -> None:
    switched.begin_trial()
    assert switched.shares() == {"1": 90, "2": 10}
    switched.run_until(lambda: switched.rollout("2").phase is Phase.WATCHING)
    _settles(switched, {"2": 100})


@each_way
def test_a_trial_is_rolled_back_and_stays_rolled_back(switched: Rig) -> None:
    switched.begin_trial()
    switched.after(6)
    _roll_back(switched)
    assert switched.shares() == {"1": 100}
    _settles(switched, {"1": 100})
    assert switched.rollout("2").phase is Phase.ROLLED_BACK
    assert len(switched.ledger("roll_back")) == 1


@each_etag
def test_a_writer_between_a_rollbacks_read_and_write_does_not_keep_it_from_standing(switched: Rig) -> None:
    switched.begin_trial()
    switched.after(6)
    writer = Interleaved("UpdateEndpoint", "before", lambda: _split_by_hand(switched, 30))
    hook_into(switched.emulator.faults, writer)
    _roll_back(switched)
    assert writer.happened
    assert switched.shares() == {"1": 100}
    _settles(switched, {"1": 100})


@each_etag
def test_a_rollback_between_an_advances_read_and_write_wins_in_the_end(switched: Rig) -> None:
    switched.begin_trial()
    switched.after(6)
    switched.command("promote", "2")
    rollback = Interleaved("UpdateEndpoint", "before", lambda: _roll_back(switched))
    hook_into(switched.emulator.faults, rollback)
    switched.deliver()
    assert rollback.happened
    _settles(switched, {"1": 100})
    assert switched.rollout("2").phase is Phase.ROLLED_BACK


@each_etag
def test_an_advance_and_a_writer_of_the_split_come_to_rest(switched: Rig) -> None:
    """Where etags hold, the person's write is drift; where they are ignored, the later of the two writes stands."""
    switched.begin_trial()
    switched.after(6)
    switched.command("promote", "2")
    writer = Interleaved("UpdateEndpoint", "before", lambda: _split_by_hand(switched, 30))
    hook_into(switched.emulator.faults, writer)
    switched.deliver()
    assert writer.happened
    switched.after(1)
    switched.tick()
    first = switched.shares()
    if switched.emulator.config.etag_mismatch is None:
        assert first == {"1": 50, "2": 50}
        return
    assert first == {"1": 30, "2": 70}
    assert "somebody else has moved it" in switched.rollout("2").sentence


@each_id
def test_a_deployment_whose_answer_was_lost_leads_to_one_deployed_model_with_the_rollouts_id(switched: Rig) -> None:
    switched.world.store.put_policy(policy(), "owner@example.com", switched.now)
    switched.serve(switched.upload())
    version = switched.upload()
    switched.emulator.faults.lose_answer("DeployModel", times=None)
    switched.announce(version)
    switched.after(1)
    switched.tick()
    switched.emulator.faults.clear()
    assert _deployments_begun(switched) >= 2, "v1's, and v2's, whose answer was lost"
    switched.run_until(lambda: switched.rollout(version).phase is Phase.CANARY)
    _settles_to_two(switched, version)


@each_id
def test_a_deployment_request_that_arrives_twice_leads_to_one_deployed_model(switched: Rig) -> None:
    """A network may repeat a request; to Vertex AI that is a second deployment with an id that is taken."""
    switched.world.store.put_policy(policy(), "owner@example.com", switched.now)
    switched.serve(switched.upload())
    version = switched.upload()

    def arrive_before() -> None:
        deployed_id = switched.rollout(version).deployed_id
        machine = policy().machine
        first = DeploySpec(deployed_id, PROJECT, REGION, MODEL, version, "twin", machine, None, False, 1)
        Endpoints().deploy(TARGET, first)

    twin = Interleaved("DeployModel", "before", arrive_before)
    hook_into(switched.emulator.faults, twin)
    switched.announce(version)
    switched.run_until(lambda: switched.rollout(version).phase is Phase.CANARY)
    assert twin.happened
    assert switched.emulator.counts["DeployModel"] >= 3, "v1's, and v2's twice"
    _settles_to_two(switched, version)


def _deployments_begun(rig: Rig) -> int:
    parent = "projects/local-project/locations/us-central1"
    listed = rig.emulator.methods()["google.longrunning.Operations/ListOperations"]
    (found,) = listed.call(listed.request(name=parent), "").messages()
    return sum("DeployModelOperationMetadata" in entry.metadata.type_url for entry in found.operations)


def _settles_to_two(rig: Rig, version: str) -> None:
    """The stable and the candidate, and nobody else, serve the endpoint."""
    rig.run_until(lambda: len(rig.endpoint.deployed) == 2)
    rollout = rig.rollout(version)
    assert {d.id for d in rig.endpoint.deployed} == {rollout.stable_id, rollout.deployed_id}
    assert rig.shares() in ({"1": 90, "2": 10}, {"1": 50, "2": 50})
    rig.run_until(lambda: rig.rollout(version).phase is Phase.WATCHING)
    assert rig.shares() == {version: 100}
