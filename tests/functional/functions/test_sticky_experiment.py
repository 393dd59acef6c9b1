"""One arm per user through the real functions: clients run the documented lines, and each user counts once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from typing import Any

import pytest
from typer.testing import CliRunner

from local.cloud import LIVE_BUCKET
from local.stepped import PROJECT, REGION
from local.storage import StorageError
from rollouts_cli.main import app
from shared.errors import PermanentError
from shared.events.quality import QualityReported, Reported, quality_reported_message
from shared.policy.schema import Policy
from shared.rollout.assigning import digest_of
from shared.rollout.observed import Endpoint, TargetRef
from shared.rollout.record import Phase, Rollout
from tests.documented import endpoint_of
from tests.functional.functions.harness import Cloud
from tests.functional.functions.live_object import OBJECT, write_fails_once
from tests.functional.functions.policies import ENDPOINT, ERRORS, policy

EXPERIMENT: dict[str, Any] = {
    "by": "recipe",
    "arms": ["clicks", "margin"],
    "share": 25,
    "assignment": "key",
    "objective": {"metric": "bought", "good_from": 0.5},
    "bake": "8m",
    "within": "14m",
}
CONTROL, CLICKS, MARGIN = "1", "2", "3"
"""Versions, in the order in which their training runs end."""
BETTER = {CONTROL: 0.50, CLICKS: 0.80, MARGIN: 0.20}
SAME = dict.fromkeys(BETTER, 0.5)
USERS = [f"user-{number}" for number in range(400)]


def sticky(**changes: Any) -> Policy:
    stages = [{"traffic": 50, "bake": "5m"}, {"traffic": 100}]
    spec = {"strategy": "experiment", "experiment": EXPERIMENT | changes, "stages": stages, "checks": [ERRORS]}
    return policy(rollout=spec)


def gather(cloud: Cloud, **changes: Any) -> None:
    """The control has the traffic, and both arms have a version."""
    cloud.apply(sticky(**changes))
    cloud.deploy("run-1", labels={"recipe": "plain"})
    for run, recipe in (("run-2", "clicks"), ("run-3", "margin")):
        cloud.register(run, labels={"recipe": recipe})
        cloud.settle()


def look(cloud: Cloud) -> None:
    cloud.tick("assess_rollouts")
    cloud.settle()


def begin(cloud: Cloud, **changes: Any) -> Cloud:
    gather(cloud, **changes)
    for _ in range(20):
        cloud.advance(minutes=2)
        look(cloud)
        if len(cloud.split()) > 1:
            break
    assert cloud.split() == {CONTROL: 50, CLICKS: 25, MARGIN: 25}, lead(cloud).sentence
    assert lead(cloud).stage_since is not None, lead(cloud).sentence
    return cloud


@pytest.fixture
def shop(cloud: Cloud) -> Cloud:
    return begin(cloud)


def lead(cloud: Cloud) -> Rollout:
    """The rollout of the newest experiment."""
    return next(r for r in cloud.world.store.rollouts_of_model("churn") if r.arms)


def told(cloud: Cloud) -> dict[str, Any]:
    """What clients read."""
    return dict(json.loads(cloud.storage.text(LIVE_BUCKET, OBJECT)))


def homes(cloud: Cloud) -> dict[str, str]:
    """Whose each user is, by the documented lines: a version, which has all the traffic of its endpoint."""
    read, ask, known = told(cloud), endpoint_of(), {}
    found = {}
    for user in USERS:
        name = ask(user, read).rpartition("/")[2]
        if name not in known:
            alone = cloud.world.endpoints.plain(TargetRef(PROJECT, REGION, name))
            assert alone is not None
            assert list(alone.split.values()) == [100], "whoever is asked answers"
            known[name] = next(d.version for d in alone.deployed if alone.share(d.id))
        found[user] = known[name]
    return found


def deployed(cloud: Cloud, version: str) -> str:
    endpoint = cloud.endpoint()
    assert endpoint is not None
    return next(d.id for d in endpoint.deployed if d.version == version and endpoint.share(d.id))


def report(cloud: Cloud, version: str, outcomes: Mapping[str, float], name: str = "", asked: str = "") -> None:
    """What a client reports of users who met a version."""
    experiment = told(cloud)["experiment"]
    one = QualityReported(
        REGION,
        ENDPOINT,
        name or hashlib.sha256(f"{cloud.now}{version}{list(outcomes)}".encode()).hexdigest(),
        asked or deployed(cloud, version),
        experiment=experiment,
        outcomes={"bought": {digest_of(experiment, user): value for user, value in outcomes.items()}},
    )
    assert cloud.wake("record_quality", quality_reported_message(one)) == 200


_minute = count()


def visits(cloud: Cloud, number: int, good: Mapping[str, float], errors: Mapping[str, float] | None = None) -> None:
    """So many minutes in each of which other users come."""
    for minute in islice(_minute, number):
        read, found, ask = told(cloud), seen(cloud), endpoint_of()
        asked = {found.place(d.id).endpoint: d for d in found.deployed if found.share(d.id)}
        users: dict[str, list[str]] = {name: [] for name in asked}
        for user in (f"guest-{minute}-{guest}" for guest in range(120)):
            users[ask(user, read).rpartition("/")[2]].append(user)
        for name, own in users.items():
            version, bought = asked[name].version, round(len(own) * good[asked[name].version])
            report(cloud, version, {user: float(n < bought) for n, user in enumerate(own)}, asked=asked[name].id)
        cloud.serve_pair(300, errors or {})
        cloud.advance(minutes=1)
        look(cloud)


def seen(cloud: Cloud) -> Endpoint:
    found = cloud.endpoint()
    assert found is not None
    return found


def cloud_endpoint(cloud: Cloud, deployed_id: str) -> str:
    return seen(cloud).place(deployed_id).endpoint


def sentences(cloud: Cloud, decision: str) -> list[str]:
    return [e.sentence for e in cloud.world.store.ledger(rollout=lead(cloud).id) if e.decision == decision]


def arms_left(cloud: Cloud) -> list[str]:
    """The endpoints that are not the main one."""
    return [e.ref.endpoint for e in cloud.world.endpoints.list(PROJECT, REGION) if e.ref.endpoint != ENDPOINT]


def clear_away(cloud: Cloud) -> None:
    for _ in range(3):
        cloud.advance(minutes=11)
        assert cloud.tick("retire_models") == 200


def test_the_best_arm_wins_and_no_user_moves_but_those_of_the_arm_that_is_dropped(shop: Cloud) -> None:
    before = homes(shop)
    assert set(before.values()) == set(BETTER)
    for _ in range(40):
        visits(shop, 1, BETTER)
        if shop.split() == {CONTROL: 75, CLICKS: 25}:
            break
    dropped = homes(shop)
    assert dropped == {user: CONTROL if version == MARGIN else version for user, version in before.items()}
    (sentence,) = sentences(shop, "drop")
    assert "margin v3 is worse than" in sentence
    for _ in range(40):
        if lead(shop).phase is not Phase.EXPERIMENT:
            break
        visits(shop, 1, BETTER)
    assert set(homes(shop).values()) == {CONTROL}, "until the winner is deployed beside the control"
    won = next(s for s in sentences(shop, "advance") if "is the best" in s)
    assert "goes on as a canary on churn-serving" in won
    assert lead(shop).version == CLICKS
    canaries = []
    for _ in range(25):
        shop.serve_pair(300, {})
        shop.advance(minutes=1)
        look(shop)
        canaries.append(shop.split())
    assert {CONTROL: 50, CLICKS: 50} in canaries
    assert shop.split() == {CLICKS: 100}
    assert lead(shop).phase is Phase.WATCHING, lead(shop).sentence
    assert seen(shop).group is None, "the endpoint's own split counts again"
    assert shop.aliases()["champion"] == CLICKS
    clear_away(shop)
    assert arms_left(shop) == []


def test_with_no_best_arm_all_users_come_back_to_the_control(cloud: Cloud) -> None:
    shop = begin(cloud, within="7m")
    visits(shop, 10, SAME)
    assert set(homes(shop).values()) == {CONTROL}
    assert shop.split() == {CONTROL: 100}
    assert lead(shop).phase is Phase.ROLLED_BACK
    assert "no arm was shown to be the best within 7m" in lead(shop).sentence
    assert not sentences(shop, "drop")
    assert shop.world.store.busy(lead(shop).target) == ""
    clear_away(shop)
    assert arms_left(shop) == []
    assert [d.version for d in seen(shop).deployed] == [CONTROL]


def test_an_arm_that_fails_on_its_endpoint_is_dropped_and_when_both_do_the_control_has_all_users(shop: Cloud) -> None:
    visits(shop, 6, SAME, errors={MARGIN: 0.4})
    assert shop.split() == {CONTROL: 75, CLICKS: 25}
    (dropped,) = sentences(shop, "drop")
    assert "margin v3: error_rate 40 % > 1 %" in dropped
    assert lead(shop).phase is Phase.EXPERIMENT
    clear_away(shop)
    group = seen(shop).group
    assert group is not None
    assert [arm.labels["vr-arm-name"] for arm in group.arms] == ["clicks"]
    assert arms_left(shop) == [], "the other arm is gone, and this one stands with the main endpoint"
    visits(shop, 5, SAME, errors={CLICKS: 0.5})
    assert set(homes(shop).values()) == {CONTROL}
    assert lead(shop).phase is Phase.ROLLED_BACK


def test_an_alert_on_an_arms_endpoint_drops_it_in_one_write_although_the_store_is_down(shop: Cloud) -> None:
    shop.advance(minutes=4)
    alarm = shop.alarm(endpoint=cloud_endpoint(shop, deployed(shop, MARGIN)))
    shop.storage.written.clear()
    with shop.without_store(), shop.cost() as calls:
        assert shop.wake("roll_back", alarm) == 500, "the ledger cannot be written yet"
    assert shop.storage.written == [("insert", f"{LIVE_BUCKET}/{OBJECT}")]
    assert calls["UpdateEndpoint"] == 0
    assert shop.split() == {CONTROL: 75, CLICKS: 25}
    assert shop.wake("roll_back", alarm) == 200
    look(shop)
    assert [arm.name for arm in lead(shop).arms if arm.out] == ["margin"]
    assert len(sentences(shop, "drop")) == 1
    assert lead(shop).phase is Phase.EXPERIMENT


def test_an_alert_on_the_main_endpoint_is_about_the_control_and_holds(shop: Cloud) -> None:
    shop.advance(minutes=4)
    assert shop.wake("roll_back", shop.alarm()) == 200
    assert shop.split() == {CONTROL: 50, CLICKS: 25, MARGIN: 25}
    assert lead(shop).hold is not None


def test_an_arm_whose_endpoint_somebody_empties_is_dropped(shop: Cloud) -> None:
    victim = deployed(shop, MARGIN)
    shop.world.endpoints.undeploy(seen(shop).place(victim), victim)
    visits_until(shop, lambda: shop.split() == {CONTROL: 75, CLICKS: 25})
    assert "margin v3 no longer answers on its endpoint" in sentences(shop, "drop")[0]
    assert lead(shop).phase is Phase.EXPERIMENT


def visits_until(cloud: Cloud, is_so: Callable[[], bool]) -> None:
    for _ in range(5):
        cloud.advance(minutes=1)
        look(cloud)
        if is_so():
            return
    raise AssertionError(lead(cloud).sentence)


def test_a_person_ends_it_and_what_was_made_is_cleared_away(shop: Cloud, signed: object) -> None:
    look(shop)
    status, answer = shop.command({"command": "abort", "rollout": lead(shop).id, "reason": "not today"})
    assert status == 200, answer
    shop.settle()
    assert set(homes(shop).values()) == {CONTROL}
    assert lead(shop).phase is Phase.ROLLED_BACK
    clear_away(shop)
    assert arms_left(shop) == []


def test_one_that_ends_before_it_has_begun_leaves_nothing_behind(cloud: Cloud, signed: object) -> None:
    gather(cloud)
    for _ in range(3):
        cloud.advance(minutes=2)
        look(cloud)
    assert arms_left(cloud)
    status, answer = cloud.command({"command": "abort", "rollout": lead(cloud).id, "reason": "not today"})
    assert status == 200, answer
    cloud.settle()
    look(cloud)
    assert not lead(cloud).phase.is_open
    clear_away(cloud)
    clear_away(cloud)
    assert arms_left(cloud) == []
    assert cloud.split() == {CONTROL: 100}


def test_another_experiment_deals_the_keys_anew_on_the_same_endpoint(shop: Cloud) -> None:
    assert shop.wake("roll_back", shop.alarm(rollout=lead(shop).id, source="analysis", started_at=None)) == 200
    assert shop.split() == {CONTROL: 100}
    shop.settle()
    before = told(shop)["experiment"]
    for run, recipe in (("run-4", "clicks"), ("run-5", "margin")):
        shop.register(run, labels={"recipe": recipe})
        shop.settle()
    for _ in range(15):
        shop.advance(minutes=2)
        look(shop)
    assert shop.split() == {CONTROL: 50, "4": 25, "5": 25}
    assert told(shop)["experiment"] != before
    assert set(homes(shop).values()) == {CONTROL, "4", "5"}


# -- one outcome per key ------------------------------------------------------------------------------


def counted(cloud: Cloud) -> dict[str, tuple[int, float]]:
    """By version: how many outcomes are counted in this minute, and their mean."""
    end = cloud.now.replace(second=0, microsecond=0)
    found: dict[str, tuple[int, float]] = {}
    versions = {d.id: d.version for d in seen(cloud).deployed}
    for back in (0, 1):
        for places in cloud.world.store.quality.of_minute(end.replace(minute=(end.minute + back) % 60)).values():
            for minute in places.values():
                for one, arm in minute.arms.items():
                    if "bought" in arm.values:
                        found[versions[one]] = (arm.values["bought"].total, round(arm.values["bought"].mean, 3))
    return found


def users_of(cloud: Cloud, version: str, number: int) -> list[str]:
    return [user for user, home in homes(cloud).items() if home == version][:number]


def test_the_first_outcome_of_a_key_counts_whatever_is_reported_later(shop: Cloud) -> None:
    users = users_of(shop, CLICKS, 4)
    report(shop, CLICKS, dict.fromkeys(users[:3], 1.0), "one")
    report(shop, CLICKS, dict.fromkeys(users, 0.0), "two")
    assert counted(shop) == {CLICKS: (4, 0.75)}
    report(shop, CLICKS, dict.fromkeys(users[:3], 1.0), "one")
    assert counted(shop) == {CLICKS: (4, 0.75)}


def test_a_key_is_counted_for_no_arm_but_its_own(shop: Cloud) -> None:
    own, foreign = users_of(shop, CONTROL, 2), users_of(shop, MARGIN, 3)
    report(shop, CONTROL, dict.fromkeys([*own, *foreign], 1.0), "before")
    assert counted(shop) == {CONTROL: (2, 1.0)}
    shop.wake("roll_back", shop.alarm(deployed_model=deployed(shop, MARGIN), started_at=None, source="analysis"))
    assert {homes(shop)[user] for user in foreign} == {CONTROL}
    report(shop, CONTROL, dict.fromkeys(foreign, 1.0), "after")
    assert counted(shop) == {CONTROL: (2, 1.0)}, "who came from a dropped arm is not like those who were there"


def test_an_objective_that_names_no_keys_is_not_counted_and_other_metrics_of_an_arm_are(shop: Cloud) -> None:
    values = {"bought": Reported("values", (1.0, 1.0)), "length": Reported("values", (3.0,))}
    arm = deployed(shop, CLICKS)
    of_server = QualityReported(REGION, cloud_endpoint(shop, arm), "server/1", arm, values)
    assert shop.wake("record_quality", quality_reported_message(of_server)) == 200
    assert counted(shop) == {}
    end = shop.now.replace(second=0, microsecond=0)
    minutes = [shop.world.store.quality.of_minute(end.replace(minute=(end.minute + back) % 60)) for back in (0, 1)]
    assert any(
        "length" in arm.values for one in minutes for p in one.values() for m in p.values() for arm in m.arms.values()
    )


# -- interruptions ------------------------------------------------------------------------------------


FAULTS: dict[str, Callable[[Cloud], None]] = {
    "an endpoint's answer is lost": lambda cloud: cloud.emulator.faults.lose_answer("CreateEndpoint"),
    "a deployment's answer is lost": lambda cloud: cloud.emulator.faults.lose_answer("DeployModel"),
    "a split's answer is lost": lambda cloud: cloud.emulator.faults.lose_answer("UpdateEndpoint"),
    "the object is not written": lambda cloud: write_fails_once(cloud, "before"),
    "the object's answer is lost": lambda cloud: write_fails_once(cloud, "after"),
}


def deployments(cloud: Cloud) -> Iterator[str]:
    for endpoint in cloud.world.endpoints.list(PROJECT, REGION):
        yield from (d.version for d in endpoint.deployed)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_beginning_that_is_interrupted_is_taken_up_again(cloud: Cloud, fault: str) -> None:
    gather(cloud)
    FAULTS[fault](cloud)
    for _ in range(25):
        cloud.advance(minutes=2)
        look(cloud)
        if lead(cloud).stage_since is not None:
            break
    assert cloud.split() == {CONTROL: 50, CLICKS: 25, MARGIN: 25}, lead(cloud).sentence
    assert set(homes(cloud).values()) == {CONTROL, CLICKS, MARGIN}
    assert sorted(deployments(cloud)) == [CONTROL, CLICKS, MARGIN]
    assert len([s for s in sentences(cloud, "advance") if "Began" in s]) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_drop_whose_write_or_answer_is_lost_is_repeated_until_it_stands(shop: Cloud, when: str) -> None:
    shop.advance(minutes=4)
    alarm = shop.alarm(endpoint=cloud_endpoint(shop, deployed(shop, MARGIN)))
    write_fails_once(shop, when)
    assert shop.wake("roll_back", alarm) == 500
    assert shop.wake("roll_back", alarm) == 200
    look(shop)
    assert shop.split() == {CONTROL: 75, CLICKS: 25}
    assert [arm.name for arm in lead(shop).arms if arm.out] == ["margin"]
    assert len(sentences(shop, "drop")) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_end_whose_write_or_answer_is_lost_keeps_its_winner(shop: Cloud, when: str) -> None:
    visits(shop, 1, BETTER)
    found = False

    def fail(method: str, name: str) -> None:
        nonlocal found
        if method == "insert" and name == OBJECT and lead(shop).shift is not None:
            found = True
            setattr(shop.storage, when, lambda method, name: None)
            raise StorageError(503, "Backend Error")

    setattr(shop.storage, when, fail)
    for _ in range(40):
        if lead(shop).phase is not Phase.EXPERIMENT:
            break
        visits(shop, 1, BETTER)
    assert found
    assert (lead(shop).phase, lead(shop).version) == (Phase.DEPLOYING, CLICKS)
    assert set(homes(shop).values()) == {CONTROL}
    assert len([s for s in sentences(shop, "advance") if "is the best" in s]) == 1


def test_who_ends_it_between_its_first_two_writes_leaves_no_key_with_an_arm(cloud: Cloud, signed: object) -> None:
    gather(cloud)
    answered: list[int] = []

    def abort(method: str, name: str) -> None:
        if method == "insert" and name == OBJECT:
            cloud.storage.before = lambda method, name: None
            answered.append(cloud.command({"command": "abort", "rollout": lead(cloud).id, "reason": "not today"})[0])
            cloud.settle()

    cloud.storage.before = abort
    for _ in range(25):
        cloud.advance(minutes=2)
        look(cloud)
        if answered:
            break
    assert answered == [200]
    cloud.advance(minutes=1)
    look(cloud)
    assert not lead(cloud).phase.is_open
    assert cloud.split() == {CONTROL: 100}
    assert set(homes(cloud).values()) == {CONTROL}
    assert cloud.world.store.busy(lead(cloud).target) == ""
    clear_away(cloud)
    assert arms_left(cloud) == []


def test_another_policy_does_not_deal_the_keys_of_an_experiment_anew(shop: Cloud, signed: object) -> None:
    shop.apply(sticky(share=10))
    status, answer = shop.command({"command": "set-policy", "rollout": lead(shop).id})
    assert (status, "its arms or what each has differ" in answer["error"]) == (409, True)
    shop.apply(sticky(within="20m"))
    status, answer = shop.command({"command": "set-policy", "rollout": lead(shop).id})
    assert status == 200, answer


def test_an_object_that_somebody_deletes_pauses_it_and_a_person_can_end_it(shop: Cloud, signed: object) -> None:
    held = shop.storage.get(LIVE_BUCKET, OBJECT)
    shop.storage.delete(LIVE_BUCKET, OBJECT, held["generation"])
    look(shop)
    hold = lead(shop).hold
    assert hold is not None
    assert "the traffic is v1 100 %, not v1 50 %, " in hold.reason
    status, answer = shop.command({"command": "abort", "rollout": lead(shop).id, "reason": "the object is gone"})
    assert status == 200, answer
    shop.settle()
    look(shop)
    assert not lead(shop).phase.is_open, lead(shop).sentence
    assert (told(shop)["arms"], shop.split()) == ([], {CONTROL: 100})
    clear_away(shop)
    assert arms_left(shop) == []


def test_without_a_bucket_none_begins(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVE_BUCKET", "")
    cloud.apply(sticky())
    cloud.deploy("run-1", labels={"recipe": "plain"})
    cloud.register("run-2", labels={"recipe": "clicks"})
    cloud.settle()
    look(cloud)
    assert cloud.rollout("2").sentence.startswith("Refused v2: a sticky experiment needs a bucket")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": {"metric": "error_rate"}}, "error_rate counts requests, of which one key makes many"),
        ({"ttl": "6m"}, "6m is too long"),
    ],
)
def test_a_sticky_experiment_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        sticky(**changes)


# -- whose a key is -----------------------------------------------------------------------------------


def resolved(*words: str) -> str:
    answer = CliRunner().invoke(app, ["resolve", "churn", *words])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_resolve_shows_the_arms_and_whose_a_key_is(shop: Cloud) -> None:
    whole = resolved()
    assert "25 %  clicks  projects/local-project/locations/us-central1/endpoints/arm-churn-serving-" in whole
    assert "50 %  control  projects/local-project/locations/us-central1/endpoints/churn-serving" in whole
    user = users_of(shop, MARGIN, 1)[0]
    asked = json.loads(resolved("--key", user, "--json"))["targets"][0]
    assert asked["arm"] == "margin"
    assert asked["endpoint"] == endpoint_of()(user, told(shop))
    shop.wake("roll_back", shop.alarm(deployed_model=deployed(shop, MARGIN), started_at=None, source="analysis"))
    assert "control (margin is out)" in resolved("--key", user)
    assert "margin  projects/local-project/locations/us-central1/endpoints/churn-serving, out" in resolved()
