"""A shadow: v2 is sunk by a P95 over 100 ms before any user met it; v3 answers as v1 does, and goes on to all the traffic."""

from __future__ import annotations

from datetime import timedelta

from local.outcomes import Outcome, nothing_lost, shares_of, sound_splits, split_of, walk
from local.played import Played
from local.sample import Sample
from local.scenarios import Setting
from local.story import SOUND, V1, Facts, Story
from local.training import Run, write_artifact
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy
from shared.rollout.record import Phase

SLOW = Run("run-2", behaviour={"latency_ms": 120, "jitter_ms": 10}, metrics={"relevance_auc": 0.881})
GOOD = Run("run-3", behaviour=SOUND, metrics={"relevance_auc": 0.874}, code_revision="8d04b7e")
SHADOW = {
    "bake": "12m",
    "per_minute": 120,
    "compare": [
        {"name": "same_tokens", "kind": "numeric", "path": "$.tokens", "relative": "10%", "at_least": "95%"},
        {"name": "same_relevance", "kind": "numeric", "path": "$.relevance", "tolerance": 0.05, "at_least": "95%"},
    ],
}
STAGES = [{"traffic": 10, "bake": "8m"}, {"traffic": 50, "bake": "8m"}, {"traffic": 100}]
"""Shorter than the example's: this story is about what is before them."""


class ShadowStory(Story):
    """Three training runs, the second and third each in a shadow first."""

    sample: Sample | None = None

    def policy(self) -> Policy:
        body = super().policy().model_dump(mode="json", by_alias=True)
        body["rollout"] |= {"shadow": SHADOW, "stages": STAGES}
        return parse_policy(body, "the example's policy, with a shadow")

    def play(self) -> None:
        for run in (V1, SLOW, GOOD):
            write_artifact(self.cloud.buckets, run, self.seed)
        self.apply()
        self.watcher.chapter("v1: a pipeline ends, its model takes the endpoint")
        self.train(V1)
        self.until("v1 has the traffic", "1", Phase.WATCHING, 60)
        self.begin_traffic()
        self.sample = Sample(
            self.cloud.vertex, self.cloud.pubsub, self.endpoint_name, self.seed, timedelta(seconds=4)
        ).start()
        self.watcher.chapter("v2 answers users' requests a second time, and takes too long")
        self.train(SLOW)
        self.until("v2 is taken back", "2", Phase.ROLLED_BACK, 120)
        self.watcher.chapter("v3 answers as v1 does: its shadow ends, and it walks 10, 50, 100 %")
        self.train(GOOD)
        self.until("v3 has all the traffic", "3", Phase.WATCHING, 240)
        self.wait("the aliases stand", self.is_told, 60)

    def end(self) -> None:
        if self.sample:
            self.sample.stop()


def judge(facts: Facts) -> list[Outcome]:
    """What the story must have shown."""
    slow, good = facts.rollouts.get("2"), facts.rollouts.get("3")
    sentence = slow.sentence if slow else "there was no v2"
    ended = next(
        (e.sentence for e in facts.ledger if good and e.rollout == good.id and "Ended the shadow" in e.sentence), ""
    )
    left = [name for name in facts.endpoints if name.startswith("shadow-")]
    return [
        Outcome(
            "v2 is taken back in its shadow for a P95 over 100 ms",
            sentence,
            slow is not None
            and slow.phase is Phase.ROLLED_BACK
            and "in its shadow" in sentence
            and "latency_ms p95" in sentence,
        ),
        Outcome("no user ever met v2", walk(shares_of(facts, "2")), slow is not None and not shares_of(facts, "2")),
        Outcome(
            "v3 answers as v1 does, with the share in numbers",
            ended or "its shadow has not ended",
            all(name in ended for name in ("same_tokens", "same_relevance", "latency_ms p95")),
        ),
        Outcome("v3 then walks 10, 50, 100 %", walk(shares_of(facts, "3")), shares_of(facts, "3") == [10, 50, 100]),
        Outcome("v3 has all the traffic", split_of(facts.split), facts.split == {"3": 100}),
        Outcome("no shadow endpoint is left", ", ".join(left) or "none", not left and facts.complete),
        nothing_lost(facts, "1", "3"),
        sound_splits(facts, 3),
    ]


def make(setting: Setting) -> Played:
    return Played(ShadowStory(setting.folder, setting.seed, setting.rate, setting.rps, setting.watcher), judge)
