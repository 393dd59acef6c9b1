"""Blue-green: clients follow a small object from one endpoint to the other; v3 degrades after its switch and is switched back in one write."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

from local.alert_policies import make_error_alert, make_webhook
from local.cloud import LIVE_BUCKET, PROJECT, REGION
from local.outcomes import Outcome, nothing_lost, split_of
from local.played import Played
from local.scenarios import Setting
from local.story import DEGRADED, INTO_THE_WATCH, SOUND, V1, V2, Facts, Story
from local.training import Run, change_behaviour, write_artifact
from shared import clock
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy
from shared.rollout.names import green_target
from shared.rollout.record import Phase

V3 = Run("run-3", behaviour=SOUND, metrics={"relevance_auc": 0.879}, code_revision="f19a3d5")
TTL = timedelta(seconds=30)


class BlueGreenStory(Story):
    """Three training runs; every client reads which endpoint is live, and keeps it for the time to live."""

    def __init__(self, *setting: Any) -> None:
        super().__init__(*setting)
        self._followed: list[tuple[str, str]] = []
        """Endpoint and version as clients were told, each change once."""
        self._ended = threading.Event()

    def policy(self) -> Policy:
        body = super().policy().model_dump(mode="json", by_alias=True)
        rollout = body["rollout"] | {"strategy": "blue_green", "blue_green": {"ttl": "30s"}}
        rollout["stages"] = [{"traffic": 100}]
        return parse_policy(body | {"rollout": rollout}, "the example's policy, with two endpoints")

    def play(self) -> None:
        folders = {run.id: write_artifact(self.cloud.buckets, run, self.seed) for run in (V1, V2, V3)}
        self.apply()
        self._make_alerts_of_both()
        self.watcher.chapter("v1: two endpoints are made, and clients are told of the first")
        self.train(V1)
        self.until("v1 is live", "1", Phase.WATCHING, 60)
        self.begin_traffic()
        self.watcher.chapter("v2 is deployed on the other endpoint, and all clients are switched to it")
        self.train(V2)
        self.until("v2 is live", "2", Phase.WATCHING, 120)
        self.watcher.chapter("v3 takes the first endpoint again")
        self.train(V3)
        switched = self.until("v3 is live", "3", Phase.WATCHING, 240)
        self.wait("v3 is well for a while", lambda: clock.now() >= switched.phase_since + INTO_THE_WATCH, 30)
        self.watcher.chapter("v3 degrades: an incident, a webhook, one write of one object")
        change_behaviour(folders[V3.id], DEGRADED)
        self.until("v3 is switched back", "3", Phase.ROLLED_BACK, 60)
        self.watcher.chapter("tidying: aliases, machines that nobody needs")
        self.wait("clients have followed", self._is_followed, 30)
        self.wait("the aliases stand", self.is_settled, 60)

    def _is_followed(self) -> bool:
        return bool(self._followed) and self._followed[-1][1] == "2"

    def _make_alerts_of_both(self) -> None:
        url = f"{self.cloud.url('receive_alert')}?auth_token={self.cloud.alert_token}"
        channel = make_webhook(self.cloud.vertex, PROJECT, url)
        for ref in (self._target, green_target(self._target)):
            make_error_alert(self.cloud.vertex, PROJECT, ref.endpoint, REGION, channel, share=0.05)

    def begin_traffic(self) -> None:
        """Clients that ask the endpoint that is live."""
        super().begin_traffic()
        self._note()
        threading.Thread(target=self._follow, name="client", daemon=True).start()

    def _follow(self) -> None:
        """What docs/strategies.md tells a client to do: read the object again whenever the time to live is over."""
        while not self._ended.wait(TTL.total_seconds() / self._rate):
            self._note()

    def _note(self) -> None:
        path = self.cloud.buckets / LIVE_BUCKET / PROJECT / REGION / f"{self._target.endpoint}.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if self.traffic:
            self.traffic.follow(told["endpoint"])
        now = (told["endpoint"].rpartition("/")[2], told["version"])
        if not self._followed or self._followed[-1] != now:
            self._followed.append(now)

    def end(self) -> None:
        self._ended.set()

    @property
    def followed(self) -> list[tuple[str, str]]:
        return self._followed


def judge(facts: Facts, followed: list[tuple[str, str]]) -> list[Outcome]:
    """What the story must have shown."""
    blue = followed[0][0] if followed else "?"
    walked = " -> ".join(f"{name} (v{version})" for name, version in followed)
    expected = [(blue, "1"), (f"{blue}-green", "2"), (blue, "3"), (f"{blue}-green", "2")]
    third = facts.rollouts.get("3")
    mine = [e for e in facts.ledger if third and e.rollout == third.id]
    back = next((e for e in mine if e.decision == "roll_back"), None)
    promoted = [e for e in facts.ledger if e.decision == "promote"]
    sound = [split for split in facts.splits if sum(split["traffic_split"].values()) not in (0, 100)]
    return [
        Outcome("clients were sent v1, v2, v3 and back to v2", walked or "nowhere", followed == expected),
        Outcome(
            "every switch says by when clients follow",
            promoted[-1].sentence if promoted else "there was none",
            len(promoted) == 3 and all("clients follow to" in e.sentence for e in promoted),
        ),
        Outcome("v3 is switched back by an incident", back.sentence if back else "it was not", back is not None),
        Outcome("v2 is live", split_of(facts.split), facts.split == {"2": 100}),
        Outcome(
            "the idle endpoint is empty", ", ".join(f"v{v}" for v in facts.deployed) or "none", facts.deployed == ("2",)
        ),
        Outcome("no request found nobody", f"{facts.unanswered} of them", facts.unanswered == 0),
        Outcome("every endpoint had all its traffic on one model, or none", f"{len(sound)} others", not sound),
        nothing_lost(facts, "1", "2"),
    ]


def make(setting: Setting) -> Played:
    story = BlueGreenStory(setting.folder, setting.seed, setting.rate, setting.rps, setting.watcher)
    return Played(story, lambda facts: judge(facts, story.followed))
