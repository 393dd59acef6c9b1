"""Dual deployment: one run makes a model for the endpoint and one for devices, promoted together; a P95 over 100 ms undoes both."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from local.outcomes import Outcome, nothing_lost, shares_of, sound_splits, split_of, walk
from local.played import Played
from local.scenarios import Setting
from local.storage import crc32c
from local.story import INTO_THE_WATCH, SOUND, V1, V2, Facts, Story
from local.training import change_behaviour, write_artifact, write_variant
from shared import clock
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy
from shared.rollout.lineage import RUN
from shared.rollout.record import Phase, Rollout

EDGE, BUCKET = "arr-coc-edge", "arr-coc-devices"
FIRST, SECOND = replace(V1, variants=("edge",)), replace(V2, variants=("edge",))
SLOW = {**SOUND, "latency_ms": 130}
STAGES = [{"traffic": 10, "bake": "8m"}, {"traffic": 100}]
LOOKED = timedelta(seconds=30)
"""How often a device looks whether it is to follow another version."""


class DualStory(Story):
    """Two training runs, each with two models; a device follows what it is told."""

    def __init__(self, *setting: Any) -> None:
        super().__init__(*setting)
        self.followed: list[str] = []
        """The versions that the device had, each change once."""
        self.broken: list[str] = []
        """Files that differed from their checksum."""
        self.edge: dict[str, Rollout] = {}
        self.runs: list[tuple[str, str]] = []
        """For each version the runs of the two models."""
        self._ended = threading.Event()

    def policy(self) -> Policy:
        body = super().policy().model_dump(mode="json", by_alias=True)
        body["register"]["artifact"] = "model"
        body["rollout"] |= {"together": [EDGE], "stages": STAGES}
        return parse_policy(body, "the example's policy, with a variant")

    def edge_policy(self) -> Policy:
        body = self._policy.model_dump(mode="json", by_alias=True)
        target = {"region": body["targets"][0]["region"], "endpoint": EDGE, "bucket": BUCKET}
        register = body["register"] | {"artifact": "edge"}
        own = {"model": EDGE, "targets": [target], "register": register, "budget": None}
        return parse_policy(body | own | {"rollout": {"together": [self.model]}}, "the variant's policy")

    def play(self) -> None:
        folders = {run.id: write_artifact(self.cloud.buckets, run, self.seed) for run in (FIRST, SECOND)}
        for run in (FIRST, SECOND):
            write_variant(self.cloud.buckets, run, "edge")
        self.apply()
        self._db.put_policy(self.edge_policy(), "demo@example.com", clock.now())
        self.watcher.chapter("run 1 makes two models: one takes the endpoint, devices are told of the other")
        self.train(FIRST)
        self.until("v1 has the traffic", "1", Phase.WATCHING, 60)
        threading.Thread(target=self._follow, name="device", daemon=True).start()
        self.wait("devices follow v1", lambda: self.followed == ["1"], 30)
        self.begin_traffic()
        self.watcher.chapter("run 2: devices wait until the canary is well, then both are promoted")
        self.train(SECOND)
        promoted = self.until("v2 has all the traffic", "2", Phase.WATCHING, 240)
        self.wait("devices follow v2", lambda: self.followed[-1] == "2", 30)
        self.wait("v2 is well for a while", lambda: clock.now() >= promoted.phase_since + INTO_THE_WATCH, 30)
        self.watcher.chapter("v2 becomes slow on the endpoint: it is taken back, and devices with it")
        change_behaviour(folders[SECOND.id], SLOW)
        self.until("v2 gives its traffic back", "2", Phase.ROLLED_BACK, 120)
        self.wait("devices follow v1 again", lambda: self.followed[-1] == "1", 60)
        self.watcher.chapter("tidying: aliases")
        self.wait("the aliases stand", self.is_told, 60)

    def is_told(self) -> bool:
        return super().is_told() and not any(r.aliases_due for r in self._db.rollouts_of_model(EDGE))

    def _follow(self) -> None:
        """What a device does: read the pointer, then the manifest, then the files, and believe none that differs from its checksum."""
        while not self._ended.wait(LOOKED.total_seconds() / self._rate):
            folder = self.cloud.buckets / BUCKET
            try:
                told = json.loads((folder / EDGE / "current.json").read_text(encoding="utf-8"))
                if self.followed and self.followed[-1] == told["version"]:
                    continue
                manifest = json.loads((self.cloud.buckets / told["manifest"].removeprefix("gs://")).read_bytes())
            except (OSError, ValueError):
                continue
            base = self.cloud.buckets / manifest["base"].removeprefix("gs://")
            for file in manifest["files"]:
                found = base64.b64encode(crc32c((base / file["name"]).read_bytes()).to_bytes(4, "big")).decode()
                if found != file["crc32c"]:
                    self.broken.append(f"v{told['version']} {file['name']}")
            self.followed.append(told["version"])

    def end(self) -> None:
        self._ended.set()
        self.edge = {r.version: r for r in self._db.rollouts_of_model(EDGE)}
        indexed = [{v.version: v.labels.get(RUN, "") for v in self._db.indexed_versions(m)} for m in (self.model, EDGE)]
        self.runs = [(indexed[0].get(version, ""), indexed[1].get(version, "?")) for version in ("1", "2")]


def judge(facts: Facts, story: DualStory) -> list[Outcome]:
    """What the story must have shown."""
    server, device = facts.rollouts.get("2"), story.edge.get("2")
    waited = next(
        (e.sentence for e in facts.ledger if e.model == EDGE and "waits for" in e.sentence and e.version == "2"), ""
    )
    apart = _apart(facts, "promote")
    back = next(
        (
            e
            for e in facts.ledger
            if server and e.rollout == server.id and e.decision == "roll_back" and e.actor == "roll_back"
        ),
        None,
    )
    went = " -> ".join(f"v{version}" for version in story.followed)
    return [
        Outcome(
            "each run is a version of both models, linked by the run",
            ", ".join(f"v{n}: {one} and {other}" for n, (one, other) in enumerate(story.runs, 1)),
            len(story.runs) == 2 and all(one == other for one, other in story.runs),
        ),
        Outcome("devices wait for the endpoint's canary", waited or "they did not", bool(waited)),
        Outcome(
            "both are promoted together",
            f"{apart.total_seconds():.0f} s apart" if apart is not None else "they were not",
            shares_of(facts, "2")[:2] == [10, 100] and apart is not None and apart <= timedelta(minutes=3),
        ),
        Outcome(
            "v2 is taken back in its watch for a P95 over 100 ms",
            back.sentence if back else "it was not",
            back is not None and "latency_ms p95" in back.sentence and "> 100" in back.sentence,
        ),
        Outcome(
            "and the variant for devices with it",
            device.sentence if device else "there was none",
            device is not None
            and device.phase is Phase.ROLLED_BACK
            and back is not None
            and device.updated_at >= back.at,
        ),
        Outcome("a device followed v1, v2 and v1 again", went or "nothing", story.followed == ["1", "2", "1"]),
        Outcome("every file that it got had its checksum", ", ".join(story.broken) or "all of them", not story.broken),
        Outcome(
            "v1 has all the traffic again",
            f"{split_of(facts.split)}; {walk(shares_of(facts, '2'))}",
            facts.split == {"1": 100},
        ),
        nothing_lost(facts, "1", "2"),
        sound_splits(facts, 3),
    ]


def _apart(facts: Facts, decision: str) -> timedelta | None:
    """How far apart the two models' versions of the second run had that decision."""
    at: dict[str, datetime] = {e.model: e.at for e in facts.ledger if e.version == "2" and e.decision == decision}
    return max(at.values()) - min(at.values()) if len(at) == 2 else None


def make(setting: Setting) -> Played:
    story = DualStory(setting.folder, setting.seed, setting.rate, setting.rps, setting.watcher)
    return Played(story, lambda facts: judge(facts, story))
