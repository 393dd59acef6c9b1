"""The cloud in which flows are played: local servers, the real functions, time by hand, and a whole state that can be put back.

A run of a flow begins with a state that was reached once without any fault, so trying a fault costs only what comes after it.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.crashes.faults import FlowError, KilledError
from bench.crashes.near import NearChannel
from bench.crashes.watch import Seen, Watch, WatchedDocuments, watched_channels
from local.cloud import ROUTES
from local.identity import Issuer, KeyServer
from local.pubsub.message import Message, push_body
from local.receiver import Receiver
from local.stepped import NUMBER, PARENT, PROJECT, REGION, Apps, Servers
from shared import topics
from shared.events.schedule import Tick, tick_message
from shared.policy.validation import parse_policy
from shared.rollout.observed import Endpoint, ModelVersion, TargetRef
from shared.rollout.record import Phase, Rollout
from shared.store.store import Store
from shared.wiring import world
from vertex_emulator.config import Config, Durations
from vertex_emulator.history import EndpointSnapshot
from vertex_emulator.metrics import Resource

MODEL, ENDPOINT = "churn", "churn-serving"
TARGET = TargetRef(PROJECT, REGION, ENDPOINT)
TOKEN, AUDIENCE, SECRET = "the-secret-of-the-alerts", "crashes", "notices-secret"
OPERATOR = "ann@example.com"
LISTENERS = {name: route.topic for name, route in ROUTES.items() if not route.filter}
ROUNDS = 30
RESPONSES = "aiplatform.googleapis.com/prediction/online/response_count"
CONFIG = Config(durations=Durations(upload=30, create_endpoint=30, deploy=240, undeploy=30, mutate=30))
MINUTE = timedelta(minutes=1)
_DRAWN = re.compile(r'(?<="holder":")[^"]*|(?<="event":")[^"]*|(?<="insertId": ")[^"]*')
"""What is drawn anew in each run and decides nothing: which delivery holds a claim, the id of a log entry, and of the message that brought it."""


def policy(replicas: int = 1, **rollout: Any) -> Any:
    """10, 50 and 100 %, each judged by the error rate for ten minutes; a newer version replaces the trial."""
    stages = [{"traffic": 10, "bake": "10m"}, {"traffic": 50, "bake": "10m"}, {"traffic": 100}]
    usual: dict[str, Any] = {
        "stages": stages,
        "advance": "bake",
        "checks": [{"metric": "error_rate", "at_most": "1%"}],
        "metrics": {"lag": "1m", "settle": "0m", "window": "10m"},
        "standby": {"hold": "20m", "for": "40m"},
        "deploy_within": "20m",
        "supersede": "replace",
    }
    document = {
        "model": MODEL,
        "targets": [{"region": REGION, "endpoint": ENDPOINT}],
        "register": {
            "from": {"message": True, "custom_job": "churn-train"},
            "container": {"image": "sim/churn:1"},
            "labels": {"team": "growth"},
        },
        "gate": {"metrics": [{"name": "auc", "at_least": 0.8}]},
        "machine": {"type": "n1-standard-2", "replicas": {"min": replicas, "max": 4}},
        "notify": ["webhook://ops"],
        "rollout": usual | rollout,
    }
    return parse_policy(document, "the flow's policy")


@dataclass(frozen=True)
class State:
    """Everything that is remembered anywhere."""

    now: datetime
    vertex: dict[str, Any]
    store: Path
    waiting: tuple[tuple[str, Message], ...]
    minute: int
    told: frozenset[str]


@dataclass(frozen=True)
class Moment:
    """All of a run between two ticks: whoever goes back to it goes on as the run did, or otherwise."""

    state: State
    again: tuple[tuple[str, Message], ...]
    asked: tuple[tuple[str, Callable[[], int]], ...]
    errors: dict[str, float]
    functions: frozenset[str]
    dead: tuple[Message, ...]
    ids: Any
    series: Any
    history: tuple[EndpointSnapshot, ...]
    seen: Seen


class Plant(Servers):
    """Local servers, the functions, and whoever calls them from outside."""

    def __init__(self, apps: Apps, folder: Path, watch: Watch, issuer: Issuer) -> None:
        super().__init__(apps, folder, delay=0, config=CONFIG)
        self.watch = watch
        self.token = issuer.mint(OPERATOR, AUDIENCE, seconds=86_400)
        self.functions: frozenset[str] = frozenset(LISTENERS)
        """Which functions are there; what the others would hear waits in its topic."""
        self.errors: dict[str, float] = {}
        """The share of failed requests, by version."""
        self.people = Receiver(SECRET, self.clock)
        self.minute = 0
        self.skew = timedelta(0)
        """By how much the clocks of the functions are wrong."""
        self.requests = 300
        """How many are served in a minute."""
        self.arrange: Callable[[list[tuple[str, Message]]], list[tuple[str, Message]]] = lambda waiting: waiting
        """In which order, and how often, what waits is delivered."""
        self.told: set[str] = set()
        """The ledger entries of which people have heard."""
        self.dead: list[Message] = []
        """What was kept in the dead letters."""
        self.kills = 0
        self.refused = 0
        self._again: list[tuple[str, Message]] = []
        self._asked: list[tuple[str, Callable[[], int]]] = []
        self._folder = folder
        self._copies = 0
        watch.meddle = self.meddle
        watch.fail_operation = self.emulator.faults.fail_operation

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator[Plant]:
        """The cloud, found by the functions; what they log is kept in ``folder``."""
        apps, before, watch, issuer = Apps(), dict(os.environ), Watch(), Issuer.create()
        with contextlib.ExitStack() as stack:
            stack.callback(apps.forget)
            stack.callback(_restore, before)
            log = stack.enter_context((folder / "functions.log").open("w"))
            made = cls(apps, folder, watch, issuer)
            keys, people = stack.enter_context(KeyServer(issuer)), stack.enter_context(made.people)
            channels = {"ops": {"url": people.url, "secret": SECRET}}
            os.environ.update(made.environment())
            os.environ.update(ID_TOKEN_CERTS_URL=keys.url, COMMAND_AUDIENCE=AUDIENCE, ALERT_TOKEN=TOKEN)
            os.environ.update(NOTIFY_CHANNELS=json.dumps(channels), CLOCK_RATE="5000", COMMAND_OPERATORS=OPERATOR)
            stack.callback(made.close)
            stack.enter_context(watched_channels(watch, made.near()))
            made.renew()
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield made

    def near(self) -> dict[str, NearChannel]:
        """Channels straight to the servers of this process, by address."""
        vertex = [*self.emulator.handlers(), *self.monitoring.handlers()]
        return {self.address: NearChannel(vertex), self.pubsub.address: NearChannel(self.pubsub.handlers)}

    def renew(self) -> None:
        """A new instance of every function: nothing is remembered."""
        if "store" in vars(world()):
            world().store.close()
        world.cache_clear()
        world().now = lambda: self.now + self.skew
        documents = WatchedDocuments(self.store / "rollouts.db")
        documents.watch = self.watch
        world().store = Store(documents)

    # -- the whole state ---------------------------------------------------------------------------

    def save(self) -> State:
        """A copy of everything."""
        self.emulator.logs.drain()
        world().store.close()
        self._copies += 1
        copy = self._folder / f"state-{self._copies}"
        shutil.copytree(self.store, copy)
        self.renew()
        vertex = json.loads(json.dumps(self.emulator.save()))
        waiting = [(topic, m) for topic in topics.ALL if topic != topics.DEAD_LETTERS for m in self.published(topic)]
        state = State(self.now, vertex, copy, tuple(waiting), self.minute, frozenset(self.told))
        self._put_back(waiting)
        return state

    def load(self, state: State, etags: bool = True) -> None:
        """Go back to it."""
        self.emulator.logs.drain()
        for topic in topics.ALL:
            self.published(topic)
        self.emulator.faults.clear()
        self.emulator.history.clear()
        self.monitoring.sink.clear()
        self.emulator.look_at_etags(CONFIG.etag_mismatch if etags else None)
        world().store.close()
        shutil.rmtree(self.store)
        shutil.copytree(state.store, self.store)
        self.now, self.minute = state.now, state.minute
        self.emulator.load(state.vertex)
        self._again, self._asked, self.errors = [], [], {}
        self.functions = frozenset(LISTENERS)
        self.people.received.clear()
        self.people.notices.clear()
        self.told, self.dead = set(state.told), []
        self.skew, self.requests, self.arrange = timedelta(0), 300, lambda waiting: waiting
        self.kills = self.refused = 0
        self._ids = iter(range(1, 1_000_000))
        self._put_back(list(state.waiting))
        self.renew()

    def moment(self) -> Moment:
        """Everything as it is now, the measurements and what was seen of the run included."""
        return Moment(
            state=self.save(),
            again=tuple(self._again),
            asked=tuple(self._asked),
            errors=dict(self.errors),
            functions=self.functions,
            dead=tuple(self.dead),
            ids=copy.copy(self._ids),
            series=self.monitoring.sink.save(),
            history=tuple(self.emulator.history.all()),
            seen=self.watch.seen(),
        )

    def go_back(self, moment: Moment) -> None:
        """Everything as it was then."""
        self.load(moment.state)
        self._again, self._asked = list(moment.again), list(moment.asked)
        self.errors, self.functions, self.dead = dict(moment.errors), moment.functions, list(moment.dead)
        self._ids = copy.copy(moment.ids)
        self.monitoring.sink.load(moment.series)
        self.emulator.history.clear()
        for snapshot in moment.history:
            self.emulator.history.record(snapshot)

    def forget(self, moment: Moment) -> None:
        """It is not gone back to any more."""
        shutil.rmtree(moment.state.store)

    def fingerprint(self) -> str:
        """Equal where everything is that decides what comes next: whoever goes on from equal states, goes on equally."""
        self.emulator.logs.drain()
        vertex = self.emulator.save()
        del vertex["random"]
        with contextlib.closing(sqlite3.connect(self.store / "rollouts.db")) as connection:
            documents = connection.execute(
                "SELECT collection, id, body, expires FROM documents ORDER BY 1, 2"
            ).fetchall()
        waiting = [(topic, m) for topic in topics.ALL if topic != topics.DEAD_LETTERS for m in self.published(topic)]
        self._put_back(waiting)
        everything = (
            self.now,
            json.dumps(vertex, sort_keys=True),
            [(collection, id_, _DRAWN.sub("", body), expires) for collection, id_, body, expires in documents],
            [(topic, _DRAWN.sub("", m.data.decode())) for topic, m in waiting],
            [(function, _DRAWN.sub("", m.data.decode())) for function, m in self._again],
            [description for description, _ in self._asked],
            sorted(self.told),
            len(self.dead),
            [(s.time, sorted(s.traffic_split.items()), s.is_sound) for s in self.emulator.history.all()],
        )
        return hashlib.sha256(repr(everything).encode()).hexdigest()

    # -- what happens -------------------------------------------------------------------------------

    def ask(self, function: str, body: dict[str, Any]) -> None:
        """Call a function over HTTPS; whoever called calls again, minute by minute, until it is answered.

        A person whose command was not answered looks, and sends another.
        """
        headers, path = {}, "/"
        if function == "receive_command":
            headers = {"Authorization": f"Bearer {self.token}"}
        else:
            path = f"/?auth_token={TOKEN}"

        def call() -> int:
            sent = body | ({"id": f"command-{next(self._ids)}"} if function == "receive_command" else {})
            return self._deliver(
                function,
                lambda: int(self.apps.client(function).post(path, json=sent, headers=headers).status_code),
            )

        status = call()
        if 400 <= status < 500:
            raise FlowError(f"{function} refuses {body}: {status}")
        if status >= 500:
            self._asked.append((f"{function} {body}", call))
        self.settle()

    def post(self, function: str, body: bytes, path: str = "") -> int:
        """Without counting what the function needs of Google, which takes as long as many a delivery."""
        answer = self.apps.client(function).post(f"/{path}", data=body, content_type="application/json")
        return int(answer.status_code)

    def announce(self, topic: str, document: dict[str, Any]) -> None:
        """An event from outside."""
        function = next(name for name, heard in LISTENERS.items() if heard == topic)
        self._again.append((function, self._message(json.dumps(document).encode())))
        self.settle()

    def pass_minutes(self, minutes: int, step: int = 1, jobs: bool = True) -> None:
        """Time goes on, with traffic; every ``step`` minutes the schedule comes by."""
        for _ in range(max(minutes // step, 1)):
            endpoints = world().endpoints.list(PROJECT, REGION)
            for _ in range(step):
                self._serve(endpoints)
                self.advance(minutes=1)
            self.minute += step
            if jobs:
                self.tick()

    def tick(self) -> None:
        """The schedule comes by, and everything that waits is delivered."""
        for job, every in (("assess_rollouts", 1), ("retire_models", 5), ("find_training_runs", 5)):
            if job in self.functions and self.minute % every == 0:
                message = self._message(tick_message(Tick(job)))
                self._push(job, message, topics.SCHEDULE)
        again, self._again = self._again, []
        for function, message in again:
            self._push_or_keep(function, message)
        asked, self._asked = self._asked, []
        self._asked += [(what, call) for what, call in asked if call() >= 500]
        self.settle()

    def settle(self) -> None:
        """Deliver until nothing waits; what is refused comes again with the next minute."""
        begun, self._again = self._again, []
        for function, message in begun:
            self._push_or_keep(function, message)
        for _ in range(ROUNDS):
            self.dead += self.published(topics.DEAD_LETTERS)
            self.told |= set(self.people.received)
            waiting = [
                (f, self._message(m.data, m.attributes))
                for f, topic in LISTENERS.items()
                if f in self.functions
                for m in self.published(topic)
            ]
            if not waiting:
                return
            for function, message in self.arrange(waiting):
                self._push_or_keep(function, message)
        raise FlowError(f"events did not come to an end in {ROUNDS} rounds")

    def meddle(self) -> None:
        """Another program changes the endpoint, and nothing that concerns us."""
        name = f"{PARENT}/endpoints/{ENDPOINT}"
        found = self.endpoints.get_endpoint(name=name)
        labels = {**dict(found.labels), "seen-by": f"other-{len(self.watch.made)}"}
        self.endpoints.update_endpoint(endpoint={"name": name, "labels": labels}, update_mask={"paths": ["labels"]})

    # -- what is there ------------------------------------------------------------------------------

    def is_held(self, version: str) -> bool:
        found = self.rollout(version)
        return found is not None and found.hold is not None

    def backlog(self) -> set[str]:
        """The topics in which something waits."""
        full = f"projects/{PROJECT}/subscriptions/"
        counts = self.pubsub.broker.counts()
        return {t for t in topics.ALL if counts.get(full + t, {}).get("waiting", 0)}

    @property
    def is_quiet(self) -> bool:
        """Whether nothing comes again by itself."""
        return not self._again and not self._asked

    def endpoint(self) -> Endpoint | None:
        return world().endpoints.get(TARGET)

    def share(self, version: str) -> int:
        found = self.endpoint()
        return sum(found.share(d.id) for d in found.deployed if d.version == version) if found else 0

    def deployed_id(self, version: str) -> str:
        found = self.endpoint()
        return next((d.id for d in found.deployed if d.version == version), "") if found else ""

    def versions(self) -> list[ModelVersion]:
        return world().registry.versions(PROJECT, REGION, MODEL)

    def rollout(self, version: str) -> Rollout | None:
        return next((r for r in world().store.rollouts_of_model(MODEL) if r.version == version), None)

    def phase(self, version: str) -> Phase | None:
        found = self.rollout(version)
        return found.phase if found else None

    # -- wiring -------------------------------------------------------------------------------------

    def _put_back(self, waiting: list[tuple[str, Message]]) -> None:
        for topic, message in waiting:
            self.pubsub.broker.publish(f"projects/{PROJECT}/topics/{topic}", [(message.data, message.attributes, "")])

    def _message(self, data: bytes, attributes: Mapping[str, str] | None = None) -> Message:
        """By what it says and when: equal in runs that are equal."""
        return Message(f"{hashlib.sha256(data).hexdigest()[:12]}-{self.minute}", self.now, data, dict(attributes or {}))

    def _push_or_keep(self, function: str, message: Message) -> None:
        if self._push(function, message, LISTENERS[function]) >= 300:
            self._again.append((function, message))

    def _push(self, function: str, message: Message, topic: str) -> int:
        body = push_body(replace(message, publish_time=self.now), f"projects/{PROJECT}/subscriptions/{topic}", None)
        return self._deliver(function, lambda: self.post(function, body, f"projects/{PROJECT}/topics/{topic}"))

    def _deliver(self, function: str, do: Callable[[], int]) -> int:
        """One delivery; 599 for one that its instance did not survive."""
        try:
            with self.watch.delivery(function):
                status = do()
        except KilledError:
            self.kills += 1
            self.renew()
            status = 599
        self.refused += status >= 300
        return status

    def _serve(self, endpoints: list[Endpoint]) -> None:
        """Report what the present split serves in this minute."""
        for endpoint in endpoints:
            labels = {"resource_container": NUMBER, "location": REGION, "endpoint_id": endpoint.ref.endpoint}
            resource = Resource("aiplatform.googleapis.com/Endpoint", labels)
            for deployed in endpoint.deployed:
                served = self.requests * endpoint.share(deployed.id) // 100
                failed = round(served * self.errors.get(deployed.version, 0.0))
                for code, count in (("200", served - failed), ("503", failed)):
                    of = {"deployed_model_id": deployed.id, "response_code": code, "spot": "false"}
                    if count:
                        self.monitoring.sink.add(RESPONSES, of, resource, count)


def _restore(before: dict[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
