"""The three-way ablation: two new scorers beside the one in use; the best is found by its answers, the others give their share back."""

from __future__ import annotations

from local.outcomes import Outcome, nothing_lost, sound_splits, split_of
from local.played import Played
from local.scenarios import Setting
from local.story import SOUND, V1, Facts, Story
from local.training import Run, write_artifact
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy
from shared.rollout.record import Phase

PERSPECTIVAL = Run("run-2", scorer="perspectival", behaviour=SOUND, metrics={"relevance_auc": 0.871})
PARTICIPATORY = Run("run-3", scorer="participatory", behaviour=SOUND, metrics={"relevance_auc": 0.873})
EXPERIMENT = {
    "by": "scorer",
    "arms": ["perspectival", "participatory"],
    "share": 30,
    "objective": {"metric": "relevance", "good_from": 0.65},
    "bake": "10m",
    "within": "6h",
}
STAGES = [{"traffic": 50, "bake": "8m"}, {"traffic": 100}]


class ExperimentStory(Story):
    """Three training runs, one for each scorer."""

    def policy(self) -> Policy:
        body = super().policy().model_dump(mode="json", by_alias=True)
        body["register"]["labels"].pop("scorer")  # the training run says which one it is
        body["rollout"] |= {"strategy": "experiment", "experiment": EXPERIMENT, "stages": STAGES}
        # This story is about what answers are worth: a machine that is busy with something else must not decide it.
        body["rollout"]["checks"] = [c for c in body["rollout"]["checks"] if c["metric"] != "latency_ms"]
        return parse_policy(body, "the example's policy, as an experiment")

    def play(self) -> None:
        for run in (V1, PERSPECTIVAL, PARTICIPATORY):
            write_artifact(self.cloud.buckets, run, self.seed)
        self.apply()
        self.watcher.chapter("v1, the propositional scorer: a pipeline ends, its model takes the endpoint")
        self.train(V1)
        self.until("v1 has the traffic", "1", Phase.WATCHING, 60)
        self.begin_traffic()
        self.watcher.chapter("v2 and v3, the two other scorers, are arms of one experiment")
        self.train(PERSPECTIVAL)
        self.wait("v2 is registered", lambda: any(r.version == "2" for r in self.rollouts()), 60)
        self.train(PARTICIPATORY)
        self.wait("all three have traffic", lambda: any(r.arms and r.stage_since for r in self.rollouts()), 120)
        self.watcher.chapter("whose answers are relevant? the evidence is looked at every minute")
        self.wait("the best has all the traffic", self._is_over, 480)
        self.wait("the aliases stand", self.is_told, 60)

    def _is_over(self) -> bool:
        led = [r for r in self.rollouts() if r.arms]
        return bool(led) and (led[0].phase is Phase.WATCHING or not led[0].phase.is_open)


def judge(facts: Facts) -> list[Outcome]:
    """What the story must have shown."""
    led = next((r for r in facts.rollouts.values() if r.arms), None)
    mine = [e for e in facts.ledger if led and e.rollout == led.id]
    relevance = {v.version: v.quality["relevance"].mean for v in facts.served if "relevance" in v.quality}
    best = max(relevance, key=lambda version: relevance[version], default="")
    means = ", ".join(f"v{version} {mean:.3f}" for version, mean in sorted(relevance.items()))
    won = next((e.sentence for e in mine if "is the best: evidence" in e.sentence), "nobody has won")
    began = next((e for e in mine if e.traffic_after and len(e.traffic_after) == 3), None)
    champion = next((v.version for v in facts.versions if "champion" in v.aliases), "")
    return [
        Outcome(
            "three scorers share the traffic, in one write",
            began.sentence if began else "they never did",
            began is not None,
        ),
        Outcome("one of them is shown to be the best", won, "evidence" in won),
        Outcome(
            "it is the one whose answers were the most relevant",
            f"mean relevance {means}; v{led.version if led else '?'} has won",
            led is not None and led.version == best,
        ),
        Outcome("it has all the traffic", split_of(facts.split), bool(best) and facts.split == {best: 100}),
        Outcome("it is champion", f"v{champion}", bool(best) and champion == best),
        nothing_lost(facts, "1", "2", "3"),
        sound_splits(facts, 3),
    ]


def make(setting: Setting) -> Played:
    return Played(ExperimentStory(setting.folder, setting.seed, setting.rate, setting.rps, setting.watcher), judge)
