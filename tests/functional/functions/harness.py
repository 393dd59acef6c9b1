"""What the stories speak of: training runs, uploads, ticks, commands, and what became of a version.

Nothing runs between events: a test wakes a function with the push that Pub/Sub would post, looks at what was published and at what
Vertex AI has, and wakes the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cloud import ROUTES
from local.pubsub.message import Message
from local.stepped import NUMBER, PARENT, PROJECT, REGION, Servers
from shared import topics
from shared.events.schedule import Tick, tick_message
from shared.policy.schema import Policy
from shared.rollout.observed import Endpoint, ModelVersion, TargetRef
from shared.rollout.record import LedgerEntry, Rollout
from tests.functional.functions.policies import ENDPOINT, MODEL
from vertex_emulator.metrics import Resource

ONLINE = "aiplatform.googleapis.com/prediction/online/"
AUDIENCE, NOTICE_SECRET = "rollouts-test", "the-secret-of-the-notices"
ROUNDS = 30
"""How often ``settle`` looks for further messages; a chain that is longer does not end by itself."""
WRITES = frozenset(
    {
        "CreateEndpoint",
        "UpdateEndpoint",
        "DeployModel",
        "MutateDeployedModel",
        "UndeployModel",
        "MergeVersionAliases",
        "UpdateModel",
        "UploadModel",
        "ImportModelEvaluation",
    }
)
"""The methods with which the functions change Vertex AI."""


def at(endpoint: str | TargetRef) -> TargetRef:
    """An endpoint; one that is only named is in the stories' project and region."""
    return endpoint if isinstance(endpoint, TargetRef) else TargetRef(PROJECT, REGION, endpoint)


class Cloud(Servers):
    """Local servers and short words for what happens on them."""

    token = ""
    """The ID token that commands are sent with."""
    moved_by_hand = False
    """Whether somebody else has moved traffic."""

    def tick(self, job: str, **options: Any) -> int:
        """What the schedule does."""
        return self.wake(job, tick_message(Tick(job)), **options)

    def command(self, body: Any, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """What ``receive_command`` answers; a body that is an object gets an id, as the command line gives one."""
        if isinstance(body, Mapping):
            body = {"id": f"command-{next(self._ids):06d}", **body}
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        with self.recorded("receive_command"):
            answer = self.apps.client("receive_command").post("/", json=body, headers=headers)
        return int(answer.status_code), dict(answer.get_json())

    def tell(self, command: str, version: str, **more: Any) -> str:
        """A command about a version's rollout that is obeyed, with what follows; the sentence that it answers."""
        status, answer = self.command({"command": command, "rollout": self.rollout(version).id, **more})
        assert status == 200, answer
        self.settle()
        return str(answer["sentence"])

    def alarm(self, **changes: Any) -> dict[str, Any]:
        """An alert as ``receive_alert`` publishes it: an incident on the endpoint that begins now."""
        alert = {
            "schema": "alert/v1",
            "source": "monitoring",
            "id": f"incident-{next(self._ids)}",
            "state": "open",
            "project": PROJECT,
            "region": REGION,
            "endpoint": ENDPOINT,
            "started_at": self.now.isoformat(),
            "sentence": "5xx above 1 %: observed 0.3, limit 0.01",
        }
        return {k: v for k, v in (alert | changes).items() if v is not None}

    def deliver(self, topic: str) -> list[int]:
        """Wake the function that hears of a topic with everything that waits there; what it answered."""
        listener = next(name for name, route in ROUTES.items() if route.topic == topic and not route.filter)
        return [self.wake(listener, message.data) for message in self.published(topic)]

    def settle(self) -> None:
        """Deliver all events that move rollouts until none is left; what was refused is lost, as the next tick repeats it."""
        heard = (topics.MODEL_UPLOADED, topics.ALERT_FIRED, topics.ROLLOUT_DUE)
        for _ in range(ROUNDS):
            if not any([self.deliver(topic) for topic in heard]):
                return
        raise AssertionError(f"events did not come to an end in {ROUNDS} rounds")

    def minutes(self, number: int, *, errors: Mapping[str, float] | None = None, requests: int = 300) -> None:
        """So many minutes with traffic, each followed by a tick and all that it asks for.

        ``errors`` is the share of failed requests by version; what each model served follows the split.
        """
        for _ in range(number):
            if requests:
                self.serve(requests, errors or {})
            self.advance(minutes=1)
            assert self.tick("assess_rollouts") == 200
            self.settle()

    def serve(self, requests: int, errors: Mapping[str, float], endpoint: str | TargetRef = ENDPOINT) -> None:
        """Report what the present split serves in this minute."""
        ref, found = at(endpoint), self.endpoint(endpoint)
        resource = Resource(
            "aiplatform.googleapis.com/Endpoint",
            {"resource_container": NUMBER, "location": ref.region, "endpoint_id": ref.endpoint},
        )
        for deployed in found.deployed if found else ():
            served = requests * found.share(deployed.id) // 100 if found else 0
            failed = round(served * errors.get(deployed.version, 0.0))
            for code, count in (("2xx", served - failed), ("5xx", failed)):
                labels = {"deployed_model_id": deployed.id, "response_code": code, "spot": "false"}
                if count:
                    self.monitoring.sink.add(f"{ONLINE}response_count", labels, resource, count)

    def serve_pair(self, requests: int, errors: Mapping[str, float], endpoint: str = ENDPOINT) -> None:
        """The same for two endpoints of which clients ask the live one."""
        found = self.endpoint(endpoint)
        for deployed_id, share in found.split.items() if found else ():
            one = found.find(deployed_id) if found else None
            assert found is not None
            assert one is not None
            labels = {
                "resource_container": NUMBER,
                "location": REGION,
                "endpoint_id": found.place(deployed_id).endpoint,
            }
            resource = Resource("aiplatform.googleapis.com/Endpoint", labels)
            failed = round(requests * share // 100 * errors.get(one.version, 0.0))
            for code, count in (("2xx", requests * share // 100 - failed), ("5xx", failed)):
                metric = {"deployed_model_id": one.id, "response_code": code, "spot": "false"}
                if count:
                    self.monitoring.sink.add(f"{ONLINE}response_count", metric, resource, count)

    def apply(self, policy: Policy) -> None:
        """What ``rollouts apply`` does."""
        self.world.store.put_policy(policy, "ml@example.com", self.now)

    def endpoint(self, name: str | TargetRef = ENDPOINT) -> Endpoint | None:
        """The endpoint as it is now."""
        return self.world.endpoints.get(at(name))

    def split(self, name: str | TargetRef = ENDPOINT) -> dict[str, int]:
        """Version to percent."""
        found = self.endpoint(name)
        return {d.version: found.share(d.id) for d in found.deployed if found.share(d.id)} if found else {}

    def versions(self, model: str = MODEL) -> dict[str, ModelVersion]:
        """By number."""
        return {v.version: v for v in self.world.registry.versions(PROJECT, REGION, model)}

    def aliases(self, model: str = MODEL) -> dict[str, str]:
        """Alias to version."""
        return {alias: v.version for v in self.versions(model).values() for alias in v.aliases}

    def rollout(self, version: str, model: str = MODEL) -> Rollout:
        """The rollout of a version on the first target."""
        found = [r for r in self.world.store.rollouts_of_model(model) if r.version == version]
        assert found, f"no rollout of v{version}"
        return found[0]

    def ledger(self, version: str) -> list[LedgerEntry]:
        """What is written about a version's rollout."""
        return self.world.store.ledger(rollout=self.rollout(version).id)

    def decisions(self, version: str) -> list[str]:
        return [entry.decision for entry in self.ledger(version)]

    def dead_letters(self) -> list[Message]:
        return self.published(topics.DEAD_LETTERS)

    def train(self, run: str = "run-1", **changes: Any) -> dict[str, Any]:
        """The plain message of a finished training run."""
        message = {
            "schema": "training-completed/v1",
            "model": MODEL,
            "run_id": run,
            "artifact_uri": f"gs://models/{run}",
            "metrics": {"auc": 0.9},
        }
        return {k: v for k, v in (message | changes).items() if v is not None}

    def register(self, run: str, **changes: Any) -> None:
        """A training run from its message to its version; leaves ``model-uploaded`` waiting."""
        message = self.train(run, **changes)
        assert self.wake("register_model", message) == 500  # the upload has begun, and is looked at again
        self.advance(seconds=61)
        assert self.wake("register_model", message) == 200

    def deploy(self, run: str, **changes: Any) -> None:
        """From a training run to the first share of its version, or to the rollout's end; the endpoint is made when missing."""
        self.register(run, **changes)
        self.settle()
        version = max(self.versions(), key=int)
        for minutes in (0, 1, 10, 1, 1):
            self.advance(minutes=minutes)
            self.tick("assess_rollouts")
            self.settle()
            if self.split().get(version) or not self.rollout(version).phase.is_open:
                return

    def upload(self, model: str = MODEL, *, new: bool = False, **fields: Any) -> None:
        """A version that somebody else uploads."""
        version = {"display_name": model, "container_spec": {"image_uri": "sim/churn:1"}, **fields}
        request = {"parent": PARENT, "model": version}
        request |= {"model_id": model} if new else {"parent_model": f"{PARENT}/models/{model}"}
        self.models.upload_model(request)
        self.advance(seconds=61)
        self.emulator.logs.drain()

    def move(self, shares: Mapping[str, int], endpoint: str = ENDPOINT) -> None:
        """Somebody else moves the traffic; by version."""
        self.moved_by_hand = True
        found = self.endpoint(endpoint)
        assert found is not None
        split = {d.id: shares[d.version] for d in found.deployed if d.version in shares}
        self.endpoints.update_endpoint(
            endpoint={"name": f"{PARENT}/endpoints/{endpoint}", "traffic_split": split},
            update_mask={"paths": ["traffic_split"]},
        )
