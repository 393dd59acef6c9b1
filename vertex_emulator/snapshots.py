"""The whole state as one JSON document: saved, loaded, cleared.

While saved, time stands still: operations and jobs that are under way go on with as much time left as they had. Messages are kept as
their bytes, so nothing is lost that this version does not look at.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vertex_emulator.errors import ApiError, invalid
from vertex_emulator.messages import Document, dumped, loaded
from vertex_emulator.state import RegisteredModel

if TYPE_CHECKING:
    from vertex_emulator.beta import BetaOperations
    from vertex_emulator.deployments import Deployments
    from vertex_emulator.endpoints import Endpoints
    from vertex_emulator.fleet import Fleet
    from vertex_emulator.jobs import Jobs
    from vertex_emulator.operations import Operations
    from vertex_emulator.pools import Pools
    from vertex_emulator.serving.contract import ModelServer
    from vertex_emulator.serving.launcher import Launcher
    from vertex_emulator.state import State

FORMAT = "vertex-emulator-state/1"
_POLL = 0.02
logger = logging.getLogger(__name__)


class Snapshots:
    """Saves and loads everything that the services know; called with the state's lock held."""

    def __init__(
        self,
        state: State,
        operations: Operations,
        pools: Pools,
        jobs: Mapping[str, Jobs],
        endpoints: Endpoints,
        deployments: Deployments,
        fleet: Fleet,
        launcher: Launcher,
        beta: BetaOperations,
    ) -> None:
        self._state = state
        self._operations = operations
        self._pools = pools
        self._jobs = jobs
        self._endpoints = endpoints
        self._deployments = deployments
        self._fleet = fleet
        self._launcher = launcher
        self._beta = beta

    def save(self) -> Document:
        """Return the state as JSON has it."""
        return {
            "format": FORMAT,
            "time": self._state.clock().isoformat(),
            "random": {"ids": _position(self._state.random), "routing": _position(self._fleet.random)},
            "models": [_dumped_model(model) for model in self._state.models.values()],
            "pools": self._pools.dump(),
            "endpoints": [dumped(endpoint) for endpoint in self._state.endpoints.values()],
            "replicas": [
                {"endpoint": entry.endpoint, "id": entry.id, "replicas": entry.replicas.dump()}
                for entry in self._fleet.all()
            ],
            "jobs": {kind: jobs.dump() for kind, jobs in self._jobs.items()},
            "operations": self._operations.dump(),
            "beta_operations": sorted(self._beta.names),
        }

    def load(self, document: Document) -> list[ModelServer]:
        """Take over a state into an empty emulator; the model servers that were started for it."""
        now = self._state.clock()
        shift = now - datetime.fromisoformat(document["time"])
        _place(self._state.random, document["random"]["ids"])
        _place(self._fleet.random, document["random"]["routing"])
        for entry in document["models"]:
            model = _loaded_model(entry)
            self._state.models[model.name] = model
        self._pools.load(document["pools"], shift)
        started: list[ModelServer] = []
        for entry in document["endpoints"]:
            endpoint = loaded(entry)
            self._state.endpoints[endpoint.name] = endpoint
            started += self._deployments.start_again(endpoint)
        for entry in document["replicas"]:
            self._fleet.get(entry["endpoint"], entry["id"]).replicas.load(entry["replicas"], shift)
        for endpoint in self._state.endpoints.values():
            self._endpoints.follow(endpoint, now)
        self._operations.load(document["operations"], shift)
        for kind, jobs in self._jobs.items():
            jobs.load(document["jobs"][kind], shift)
        self._beta.names |= set(document["beta_operations"])
        return started

    def wait_for(self, servers: Sequence[ModelServer]) -> None:
        """Wait until model servers are ready, each within the time that a deployment would give it; the lock is not held."""
        deadline = time.monotonic() + self._state.config.start_timeout
        for server in servers:
            try:
                while not server.is_ready() and time.monotonic() < deadline:
                    time.sleep(_POLL)
            except ApiError as error:
                logger.warning("A model server of the loaded state did not start: %s", error.message)

    def clear(self) -> None:
        """Forget everything, and stop every model server."""
        self._operations.clear()
        for deployment in self._fleet.all():
            self._launcher.discard(deployment.server)
        self._fleet.clear()
        self._state.timeline.clear()
        self._state.models.clear()
        self._state.endpoints.clear()
        self._pools.clear()
        for jobs in self._jobs.values():
            jobs.clear()
        self._beta.names.clear()
        self._state.random.seed(self._state.seed)
        self._fleet.random.seed(self._state.seed)


def check_format(document: Mapping[str, Any]) -> None:
    """Refuse a document that is not a saved state."""
    found = document.get("format")
    if found != FORMAT:
        invalid(f"This is not a saved state: its format is {found!r}, not {FORMAT!r}.")


def _position(generator: random.Random) -> list[Any]:
    version, internal, following = generator.getstate()
    return [version, list(internal), following]


def _place(generator: random.Random, position: Sequence[Any]) -> None:
    version, internal, following = position
    generator.setstate((version, tuple(internal), following))


def _dumped_model(model: RegisteredModel) -> Document:
    return {
        "name": model.name,
        "display_name": model.display_name,
        "description": model.description,
        "create_time": model.create_time.isoformat(),
        "update_time": model.update_time.isoformat(),
        "labels": dict(model.labels),
        "versions": {str(number): dumped(version) for number, version in model.versions.items()},
        "newest": model.newest,
        "evaluations": {key: [number, dumped(message)] for key, (number, message) in model.evaluations.items()},
    }


def _loaded_model(document: Document) -> RegisteredModel:
    return RegisteredModel(
        document["name"],
        document["display_name"],
        document["description"],
        datetime.fromisoformat(document["create_time"]),
        datetime.fromisoformat(document["update_time"]),
        dict(document["labels"]),
        {int(number): loaded(version) for number, version in document["versions"].items()},
        document["newest"],
        {key: (number, loaded(message)) for key, (number, message) in document["evaluations"].items()},
    )
