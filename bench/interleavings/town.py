"""The plant with everything that can happen to it, in short words: what comes again, what others do, what goes wrong meanwhile."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from google.api_core.exceptions import GoogleAPICallError

from bench.crashes.faults import Call, Fault, FlowError
from bench.crashes.flows import train
from bench.crashes.plant import ENDPOINT, LISTENERS, MINUTE, MODEL, RESPONSES, Plant
from local.pubsub.message import Message, push_body
from local.stepped import NUMBER, PARENT, PROJECT, REGION
from shared import topics
from shared.events.schedule import Tick, tick_message
from shared.rollout.observed import Endpoint
from shared.wiring import world

NAME = f"{PARENT}/endpoints/{ENDPOINT}"
MOST_VERSIONS = 6
KEPT = 200
"""Deliveries that may come again."""


class Town:
    """One example's town, on a plant that all examples share."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.delivered: list[tuple[str, Message]] = []
        self.served: dict[str, list[datetime]] = defaultdict(list)
        """By version: the minutes in which it answered requests."""
        self.by_hand: set[str] = set()
        """Versions that have traffic because a person gave it to them."""
        self.runs = len(plant.versions())
        self.incidents: list[dict[str, Any]] = []
        self._plans: list[Callable[[Call], tuple[bool, Fault | None]]] = []
        self._is_busy = False
        plant.watch.at_call = self._at_call
        self._push, self._serve = Plant._push, Plant._serve
        plant._push = self._remember  # type: ignore[method-assign]
        plant._serve = self._count  # type: ignore[method-assign]

    def leave(self) -> None:
        """The plant as it was found."""
        del self.plant._push, self.plant._serve

    def _remember(self, function: str, message: Message, topic: str) -> int:
        self.delivered = [*self.delivered[-KEPT:], (function, message)]
        return self._push(self.plant, function, message, topic)

    def _count(self, endpoints: list[Endpoint]) -> None:
        self._serve(self.plant, endpoints)
        for endpoint in endpoints if self.plant.requests else ():
            for deployed in endpoint.deployed:
                if endpoint.share(deployed.id):
                    self.served[deployed.version].append(self.plant.now)

    # -- events -------------------------------------------------------------------------------------

    def train(self) -> None:
        """Another training run is over."""
        if self.runs < MOST_VERSIONS:
            self.runs += 1
            train(f"run-{self.runs}")(self.plant)

    def redeliver(self, back: int, *, late: bool) -> None:
        """Something that was delivered comes again: as if just published, or with the age that it has by now."""
        if not self.delivered:
            return
        function, message = self.delivered[-1 - back % len(self.delivered)]
        topic = LISTENERS.get(function, topics.SCHEDULE)
        if not late:
            self._push(self.plant, function, message, topic)
            return
        body = push_body(message, f"projects/{PROJECT}/subscriptions/{topic}", None)
        path = f"projects/{PROJECT}/topics/{topic}"
        self.plant._deliver(function, lambda: self.plant.post(function, body, path))

    def tick_alone(self) -> None:
        """A tick of the analysis; what it asks for waits."""
        message = self.plant._message(tick_message(Tick("assess_rollouts")))
        self._push(self.plant, "assess_rollouts", message, topics.SCHEDULE)

    def incident(self, which: int, minutes_ago: int, state: str = "open") -> None:
        """Cloud Monitoring speaks of one deployed model, or of none."""
        endpoint = self.plant.endpoint()
        there = [d.id for d in endpoint.deployed] if endpoint else []
        named = [*there, ""][which % (len(there) + 1)]
        began = self.plant.now - minutes_ago * MINUTE
        opened: dict[str, Any] = {
            "incident_id": f"0.{len(self.incidents)}",
            "state": state,
            "started_at": int(began.timestamp()),
            "summary": "5xx above 1 %",
            "policy_name": "errors",
            "resource": {
                "type": "aiplatform.googleapis.com/Endpoint",
                "labels": {"resource_container": NUMBER, "location": REGION, "endpoint_id": ENDPOINT},
            },
            "metric": {"type": RESPONSES, "labels": {"deployed_model_id": named} if named else {}},
        }
        self.incidents.append(opened)
        self.ask_alert(opened)

    def ask_alert(self, incident: dict[str, Any]) -> None:
        """Over the webhook, until it is taken."""
        self.plant.ask("receive_alert", {"version": "1.2", "incident": incident})

    # -- people and other programs ------------------------------------------------------------------

    def command(self, name: str, which: int) -> None:
        """A person says what is to be done with one of the open rollouts; nonsense is refused and does nothing."""
        open_ones = [r for r in world().store.rollouts_of_model(MODEL) if r.phase.is_open]
        if not open_ones:
            return
        chosen = sorted(open_ones, key=lambda r: r.id)[which % len(open_ones)]
        try:
            self.plant.ask("receive_command", {"command": name, "rollout": chosen.id})
        except FlowError:
            return

    def move(self, one: int, other: int, share: int) -> None:
        """Somebody moves the traffic in the console."""
        endpoint = self.plant.endpoint()
        there = [d.id for d in endpoint.deployed] if endpoint else []
        if not there or endpoint is None or not endpoint.split:
            return
        first, second = there[one % len(there)], there[other % len(there)]
        split = {first: 100} if first == second else {first: share, second: 100 - share}
        self.give({m: p for m, p in split.items() if p})

    def give(self, split: dict[str, int]) -> None:
        """All the traffic as a person wants it."""
        try:
            self.plant.endpoints.update_endpoint(
                endpoint={"name": NAME, "traffic_split": split}, update_mask={"paths": ["traffic_split"]}
            )
        except GoogleAPICallError:
            return
        endpoint = self.plant.endpoint()
        self.by_hand |= {d.version for d in endpoint.deployed if split.get(d.id)} if endpoint else set()

    def undeploy(self, which: int, heir: int) -> None:
        """Somebody gives the traffic of a model to another and takes it off the endpoint."""
        endpoint = self.plant.endpoint()
        if endpoint is None or len(endpoint.deployed) < 2:
            return
        there = [d.id for d in endpoint.deployed]
        gone = there.pop(which % len(there))
        if endpoint.share(gone):
            self.give({there[heir % len(there)]: 100})
        try:
            self.plant.endpoints.undeploy_model(endpoint=NAME, deployed_model_id=gone)
        except GoogleAPICallError:
            return

    def meddle(self) -> None:
        """Another program changes a label of its own."""
        if self.plant.endpoint() is None:
            return
        try:
            self.plant.meddle()
        except GoogleAPICallError:
            return

    # -- what goes wrong in the middle of something --------------------------------------------------

    def at_call(self, nth: int, do: Callable[[], object], fault: Fault | None = None, times: int = 1) -> None:
        """At the nth outgoing call from now something happens, as often as given at the calls that follow, and the call may go wrong."""
        left = [nth, times]

        def happen(call: Call) -> tuple[bool, Fault | None]:
            left[0] -= 1
            if left[0] > 0:
                return False, None
            left[1] -= 1
            do()
            return left[1] <= 0, fault

        self._plans.append(happen)

    def fail(self, method: str, fault: Fault, times: int) -> None:
        """The next calls of a method go wrong."""
        left = [times]

        def happen(call: Call) -> tuple[bool, Fault | None]:
            if call.what != method:
                return False, None
            left[0] -= 1
            return left[0] <= 0, fault

        self._plans.append(happen)

    def calm(self) -> None:
        """Nothing more is planned."""
        self._plans.clear()

    def _at_call(self, call: Call) -> Fault | None:
        """What is planned for it; nothing happens in the middle of what happens in the middle of something."""
        if self._is_busy:
            return None
        self._is_busy = True
        try:
            for plan in list(self._plans):
                is_over, fault = plan(call)
                if is_over:
                    self._plans.remove(plan)
                if fault:
                    return fault
            return None
        finally:
            self._is_busy = False

    def scramble(self, seed: int, twice: float) -> None:
        """From now on what waits is delivered in another order, and a part of it twice."""
        draw = random.Random(seed)

        def arrange(waiting: list[tuple[str, Message]]) -> list[tuple[str, Message]]:
            found = [*waiting, *(one for one in waiting if draw.random() < twice)]
            draw.shuffle(found)
            return found

        self.plant.arrange = arrange

    # -- metrics ------------------------------------------------------------------------------------

    def revise(self, mode: str, ago: int, value: int, code: str) -> None:
        """A minute of measurements is corrected, counted twice, or grows, long after it was read."""
        endpoint = self.plant.endpoint()
        end = self.plant.now.replace(second=0) - ago * MINUTE
        for deployed in endpoint.deployed if endpoint else ():
            if not endpoint or not endpoint.share(deployed.id):
                continue
            resource = {"resource_container": NUMBER, "location": REGION, "endpoint_id": ENDPOINT}
            one = {
                "metric": RESPONSES,
                "labels": {"deployed_model_id": deployed.id, "response_code": code, "spot": "false"},
                "resource": {"type": "aiplatform.googleapis.com/Endpoint", "labels": resource},
                "kind": "DELTA",
                "value_type": "INT64",
                "mode": mode,
                "points": [{"end": end.timestamp(), "value": value, "late": 0}],
            }
            self.plant.monitoring.inject([one])
            if value:  # whoever reads them cannot know better
                self.served[deployed.version].append(self.plant.now)

    def sleep(self, span: timedelta, *, serving: bool) -> None:
        """Time passes, and no function is woken."""
        minutes = int(span / MINUTE)
        if serving:  # what is older than an hour is read as little as what is not there
            served = min(minutes, 45)
            self.plant.advance(minutes=minutes - served)
            self.plant.pass_minutes(served, step=served, jobs=False)
            self.plant.minute += minutes - served
        else:
            self.plant.advance(minutes=minutes)
            self.plant.minute += minutes
