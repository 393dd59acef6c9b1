"""A rollout with a shadow, with one write to Vertex AI failing: refused, or done and its answer lost; and with functions that forget all.

Cloud Monitoring is down in these tests, so a person ends the shadow; what matters is that no call's failure leaves a machine behind or
changes where the rollout comes to.
"""

from __future__ import annotations

from shared.policy.schema import Policy
from shared.policy.shadow import Shadow
from shared.rollout.record import Phase
from tests.faults.conftest import MakeRig
from tests.faults.faults import Call, Disturbance, When
from tests.faults.rig import PROJECT, REGION, Rig, policy

WRITES = ("CreateEndpoint", "DeployModel", "UpdateEndpoint", "UndeployModel", "DeleteEndpoint")


def shadowed() -> Policy:
    one = policy()
    return one.model_copy(update={"rollout": one.rollout.model_copy(update={"shadow": Shadow()})})


def play(rig: Rig) -> tuple[str, dict[str, int], list[str], int]:
    """v1 serves; v2 is shadowed, told to go on, and has its first share: phase, split, endpoints, deployments of v2."""
    rig.world.store.put_policy(shadowed(), "owner@example.com", rig.now)
    rig.serve(rig.upload())
    version = rig.upload()
    rig.announce(version)
    rig.run_until(lambda: rig.rollout(version).stage_since is not None)
    assert rig.rollout(version).phase is Phase.SHADOW
    assert rig.shares() == {"1": 100}
    rig.command("promote", version)
    rig.run_until(lambda: rig.rollout(version).phase is Phase.CANARY)
    rig.tick()
    endpoints = rig.world.endpoints.list(PROJECT, REGION)
    deployed = sum(d.version == version for e in endpoints for d in e.deployed)
    return rig.rollout(version).phase.value, rig.shares(), sorted(e.ref.endpoint for e in endpoints), deployed


WANTED = ("canary", {"1": 90, "2": 10}, ["serving"], 1)


def test_the_answer_of_any_write_of_the_shadow_may_be_lost_and_the_end_is_the_same(make_rig: MakeRig) -> None:
    undisturbed = Disturbance()
    assert play(make_rig(undisturbed)) == WANTED
    calls = list(dict.fromkeys(undisturbed.calls))
    # The shadow's are the second of each kind, after v1's; what clears away is the first of its kind.
    cases = [[call for call in calls if call.what == name][:2][-1] for name in WRITES]
    wrong = {str(call): found for call in cases if (found := _differs(make_rig, call, "after"))}
    assert not wrong, "\n".join(f"{call}: {found}" for call, found in wrong.items())


def _differs(make_rig: MakeRig, call: Call, when: When) -> str:
    disturbance = Disturbance(call, when)
    try:
        found = play(make_rig(disturbance))
    except AssertionError as exc:
        return str(exc)
    if not disturbance.happened:
        return "the call was never made"
    return "" if found == WANTED else str(found)


def test_functions_that_forget_everything_come_through_a_shadow_too(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.is_forgetful = True
    assert play(rig) == WANTED
