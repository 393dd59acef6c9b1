"""Quality through the real functions: reports that advance a version, reports that take it back, reports that are interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from local.stepped import REGION
from shared.actions.quality import beside
from shared.events.quality import QualityReported, Reported, quality_reported_message
from shared.policy.schema import Policy
from shared.rollout.decide import judge
from shared.rollout.observed import ArmMinute, Minute
from shared.rollout.quality import of_values
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT, ERRORS, judged

TOKENS = {
    "metric": "tokens_per_image",
    "range": [64, 400],
    "share_above": {350: "5%"},
    "share_below": {80: "5%"},
    "min_samples": 20,
}
COMPRESSION = {"metric": "compression", "mean_at_least": 7.5, "min_samples": 20}
RIGHT = {
    "metric": "answer_is_right",
    "mean_at_least": 0.8,
    "min_samples": 20,
    "labels": {"ripe_after": "8m", "coverage": "50%"},
}
GOOD = [200.0, 160, 210, 190, 240, 350, 180, 80, 230, 200]
"""Tokens of ten images: none beyond a limit, one at each; of 1600 before, about an eighth in the mean."""
RICH = [200.0, 160, 210, 390, 240, 380, 360, 150, 230, 200]
POOR = [200.0, 70, 210, 79, 240, 300, 72, 170, 230, 200]
OUTSIDE = [200.0, 160, 210, 401, 240, 63, 180, 150, 230, 200]
Images = Mapping[str, Sequence[float]]


def checked(*checks: Mapping[str, Any]) -> Policy:
    return judged(rollout={"checks": [ERRORS, *checks], "standby": {"hold": "10m", "for": "20m"}})


@pytest.fixture
def stable(cloud: Cloud) -> Cloud:
    """v1 has all the traffic, under a policy that looks at tokens."""
    cloud.apply(checked(TOKENS, COMPRESSION))
    cloud.deploy("run-1")
    assert cloud.split() == {"1": 100}
    return cloud


def deployed(cloud: Cloud, version: str) -> str:
    return cloud.rollout(version).deployed_id


def message(cloud: Cloud, name: str, version: str, **fields: Any) -> bytes:
    return quality_reported_message(QualityReported(REGION, ENDPOINT, name, deployed(cloud, version), **fields))


def report(cloud: Cloud, images: Images) -> None:
    """Each version that answers reports what it spent on ten images, twice in this minute."""
    for version in cloud.split():
        spent = images.get(version, GOOD)
        metrics = {
            "tokens_per_image": Reported("values", tuple(spent)),
            "compression": Reported("values", tuple(1600 / one for one in spent)),
        }
        for number in range(2):
            name = f"{cloud.now.isoformat()}/{version}/{number}"
            assert cloud.wake("record_quality", message(cloud, name, version, metrics=metrics)) == 200


def minutes(cloud: Cloud, number: int, images: Images | None = None, more: Callable[[], None] | None = None) -> None:
    """So many minutes in which versions answer and report, each followed by a tick and all that it asks for."""
    for _ in range(number):
        report(cloud, images or {})
        if more:
            more()
        cloud.minutes(1)


def counted(cloud: Cloud, version: str, back: int = 0) -> ArmMinute:
    """What the store has of a version in the present minute."""
    end = cloud.now.replace(second=0, microsecond=0)
    end = end.replace(minute=end.minute + 1 - back)
    found = cloud.world.store.quality.of_minute(end)["local-project"][REGION, ENDPOINT]
    return found.arms[deployed(cloud, version)]


def test_a_version_whose_images_are_spent_as_the_policy_says_is_promoted(stable: Cloud) -> None:
    stable.deploy("run-2")
    minutes(stable, 24)
    assert stable.split() == {"2": 100}
    advanced = next(e for e in stable.ledger("2") if e.decision == "advance" and e.checks)
    sentences = {c.metric: c.sentence for c in advanced.checks}
    assert sentences["tokens_per_image"].startswith("tokens_per_image above 350 0 % <= 5 % (0 of ")
    assert sentences["compression"].startswith("compression mean 8.912 >= 7.5")


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (RICH, "tokens_per_image above 350 30 % > 5 %"),
        (POOR, "tokens_per_image below 80 30 % > 5 %"),
        (OUTSIDE, "tokens_per_image outside 64 to 400 20 % > 1 %"),
        ([300.0] * 10, "compression mean 5.333 < 7.5"),
    ],
    ids=["too rich", "too poor", "out of range", "too little compression"],
)
def test_a_version_that_spends_otherwise_is_rolled_back(stable: Cloud, images: list[float], why: str) -> None:
    stable.deploy("run-2")
    minutes(stable, 7, {"2": images})
    assert stable.split() == {"1": 100}
    rollout = stable.rollout("2")
    assert rollout.phase is Phase.ROLLED_BACK
    assert why in rollout.sentence


def test_a_report_that_is_interrupted_and_comes_again_is_counted_once(stable: Cloud) -> None:
    metrics = {"tokens_per_image": Reported("values", (200.0, 180.0))}
    one = message(stable, "report-1", "1", metrics=metrics)
    with stable.without_store():
        assert stable.wake("record_quality", one) == 500
    assert [stable.wake("record_quality", one) for _ in range(3)] == [200] * 3
    assert counted(stable, "1").values["tokens_per_image"].total == 2
    stable.advance(minutes=3)  # a repeated delivery in another minute is none of that minute's
    assert stable.wake("record_quality", one) == 200
    assert stable.wake("record_quality", message(stable, "report-2", "1", metrics=metrics)) == 200
    assert counted(stable, "1").values["tokens_per_image"].total == 2
    assert counted(stable, "1", back=3).values["tokens_per_image"].total == 2


def test_every_form_is_added_to_the_others(stable: Cloud) -> None:
    forms = {
        "values": Reported("values", (1.0, 0.0)),
        "share": Reported("share", counts=(1, 3), number=4),
        "count": Reported("count", (3.0,)),
        "histogram": Reported("histogram", edges=(0.5, 2.0), counts=(2, 2, 0), mean=0.5, deviation=1.0),
    }
    for name, one in forms.items():
        assert stable.wake("record_quality", message(stable, name, "1", metrics={"satisfied": one})) == 200
    found = counted(stable, "1").values["satisfied"]
    assert found.total == 11
    assert found.mean == pytest.approx((1 + 3 + 3 + 2) / 11)
    mean = Reported("mean", number=9, mean=1.0, deviation=0.0)
    stable.wake("record_quality", message(stable, "mean", "1", metrics={"satisfied": mean}))
    found = counted(stable, "1").values["satisfied"]
    assert (found.total, found.edges) == (20, ()), "beside a mean nothing is known of the shares"


def test_what_was_reported_is_copied_to_monitoring_and_counts_once(stable: Cloud) -> None:
    stable.deploy("run-2")
    minutes(stable, 6)
    end = stable.now.replace(second=0, microsecond=0)
    stable.advance(minutes=5)
    copied = stable.world.metrics.minutes(
        "local-project", end.replace(minute=end.minute - 3), end.replace(minute=end.minute - 2), {"tokens_per_image"}
    )
    (minute,) = copied[REGION, ENDPOINT]
    theirs = minute.arms[deployed(stable, "2")].values["tokens_per_image"]
    assert theirs.total == 20
    assert theirs.mean == pytest.approx(sum(GOOD) / 10)
    evidence = stable.world.store.evidence.of(stable.rollout("2").id)
    assert evidence is not None
    judged_minutes = evidence.arm(deployed(stable, "2")).values["tokens_per_image"].total / 20
    assert judged_minutes == evidence.arm(deployed(stable, "2")).values["compression"].total / 20
    assert judged_minutes <= 4, "what stands in both is not added"


def test_the_store_has_precedence_where_both_have_a_metric() -> None:
    at = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
    stored, copied, other = (of_values([one], (1.0, 2.0)) for one in (1.5, 2.5, 0.5))
    measured = {("r", "e"): [Minute(at, {"1": ArmMinute(7, 1, {"mine": copied, "theirs": other})})]}
    (found,) = beside(measured, [{("r", "e"): Minute(at, {"1": ArmMinute(values={"mine": stored})})}])["r", "e"]
    assert found.arms["1"] == ArmMinute(7, 1, {"mine": stored, "theirs": other})


# -- delayed labels -----------------------------------------------------------------------------------


class Answers:
    """Predictions of each version, and what turned out to be true some time later."""

    def __init__(self, cloud: Cloud, right: Mapping[str, float], delay: int, known: float = 1.0) -> None:
        self.cloud, self.right, self.delay, self.known = cloud, right, delay, known
        self.later: list[tuple[int, dict[str, str]]] = []
        self.minute = 0

    def __call__(self) -> None:
        self.minute += 1
        for version in self.cloud.split():
            ids = {f"{version}-{self.minute}-{number}": "fine" for number in range(10)}
            name = f"predictions/{version}/{self.minute}"
            data = message(self.cloud, name, version, predictions={"answer_is_right": ids})
            assert self.cloud.wake("record_quality", data) == 200
            told = list(ids)[: round(10 * self.known)]
            right = round(len(told) * self.right.get(version, 1.0))
            truths = {id_: "fine" if number < right else "fraud" for number, id_ in enumerate(told)}
            self.later.append((self.minute + self.delay, truths))
        for due, truths in self.later:
            if due == self.minute and truths:
                report = QualityReported(REGION, ENDPOINT, f"truths/{min(truths)}", truths={"answer_is_right": truths})
                assert self.cloud.wake("record_quality", quality_reported_message(report)) == 200


@pytest.fixture
def awaiting(cloud: Cloud) -> Cloud:
    cloud.apply(checked(RIGHT))
    cloud.deploy("run-1")
    return cloud


def test_truths_that_come_later_let_the_watch_end(awaiting: Cloud) -> None:
    awaiting.deploy("run-2")
    answers = Answers(awaiting, {"2": 0.9}, delay=5)
    minutes(awaiting, 16, more=answers)
    rollout = awaiting.rollout("2")
    assert rollout.phase is Phase.WATCHING, "stages of five minutes do not wait for truths of eight"
    minutes(awaiting, 21, more=answers)
    ended = awaiting.ledger("2")[-1]
    assert (awaiting.rollout("2").phase, ended.decision) == (Phase.PROMOTED, "finish")
    right = next(c for c in ended.checks if c.metric == "answer_is_right")
    assert right.sentence.startswith("answer_is_right mean 0.9 >= 0.8")


def test_truths_that_come_later_take_a_version_back_in_its_watch(awaiting: Cloud) -> None:
    awaiting.deploy("run-2")
    minutes(awaiting, 26, more=Answers(awaiting, {"2": 0.5}, delay=5))
    rollout = awaiting.rollout("2")
    assert rollout.phase is Phase.ROLLED_BACK
    assert "answer_is_right mean 0.5 < 0.8" in rollout.sentence
    assert awaiting.split() == {"1": 100}


def test_too_few_truths_and_late_ones_conclude_nothing(awaiting: Cloud) -> None:
    """Only the third that complains is heard of in time, and all of it is bad."""
    awaiting.deploy("run-2")
    few, late = Answers(awaiting, {"2": 0.0}, delay=5, known=0.3), Answers(awaiting, {"2": 0.0}, delay=9)
    minutes(awaiting, 24, more=few)
    evidence = awaiting.world.store.evidence.of(awaiting.rollout("2").id)
    (_, right) = judge(checked(RIGHT), awaiting.rollout("2"), evidence)
    assert (right.verdict, right.sentence) == (
        "inconclusive",
        f"answer_is_right: {right.samples} of {right.samples * 10 // 3} truths known after 8m (30 % < 50 %)",
    )
    late.minute = 1000
    minutes(awaiting, 6, more=late)
    assert awaiting.split() == {"2": 100}


def test_a_truth_may_come_before_its_prediction_and_both_come_twice(awaiting: Cloud) -> None:
    truth = QualityReported(REGION, ENDPOINT, "t", truths={"answer_is_right": {"p-1": True}})
    predicted = message(awaiting, "p", "1", predictions={"answer_is_right": {"p-1": "true", "p-2": False}})
    for data in (quality_reported_message(truth), predicted) * 2:
        assert awaiting.wake("record_quality", data) == 200
    again = message(awaiting, "another report", "1", predictions={"answer_is_right": {"p-1": "true"}})
    assert awaiting.wake("record_quality", again) == 200
    awaiting.advance(minutes=8)
    found = counted(awaiting, "1").values
    assert (found["answer_is_right"].total, found["answer_is_right"].mean) == (1, 1.0)
    assert found["answer_is_right~predicted"].total == 2
