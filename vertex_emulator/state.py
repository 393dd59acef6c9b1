"""What the emulator knows, under one lock.

Whoever holds the lock first lets happen what is due (``settle``), so that a reader sees the world as of now although no
thread of ours had run in between.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from vertex_emulator.errors import ApiError
from vertex_emulator.names import Projects
from vertex_emulator.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vertex_emulator.clock import Clock
    from vertex_emulator.config import Config
    from vertex_emulator.faults import Faults
    from vertex_emulator.messages import Message


@dataclass
class RegisteredModel:
    """One model with all its versions; messages carry what differs between versions."""

    name: str
    display_name: str
    description: str
    create_time: datetime
    update_time: datetime
    labels: dict[str, str] = field(default_factory=dict)
    """The model's own labels, set by UpdateModel on the bare name; a version's own come on top of them."""
    versions: dict[int, Message] = field(default_factory=dict)
    newest: int = 0
    """The highest version number ever given: numbers are never used again."""
    evaluations: dict[str, tuple[int, Message]] = field(default_factory=dict)

    def default_version(self) -> int:
        """Return the version that holds the alias ``default``; there is always exactly one."""
        return next(number for number, version in self.versions.items() if "default" in version.version_aliases)


class State:
    """Models, endpoints and the time line."""

    def __init__(self, config: Config, clock: Clock, faults: Faults, seed: int) -> None:
        self.lock = threading.RLock()
        self.config = config
        self.clock = clock
        self.faults = faults
        self.projects = Projects(config.projects)
        self.timeline = Timeline()
        self.models: dict[str, RegisteredModel] = {}
        self.endpoints: dict[str, Message] = {}
        self.address = ""
        """Where the emulator is served; "" until it is."""
        self.rest_address = ""
        """Where it is served over REST; "" if it is not."""
        self.random = random.Random(seed)
        """Where ids and etags come from."""
        self.seed = seed

    def settle(self) -> None:
        """Let everything happen that is due by now; the lock must be held."""
        self.timeline.run(self.clock())

    def new_id(self) -> str:
        """Return an id of 19 digits, as the service makes them."""
        return str(self.random.randrange(10**18, 9 * 10**18))

    def new_etag(self) -> str:
        """Return an etag that was never used before."""
        return f"AMEw9y{self.random.getrandbits(120):030x}"

    def check_etag(self, given: str, actual: str) -> None:
        """Refuse an etag that was sent and is not the present one; nothing, where the configuration has etags ignored."""
        code = self.config.etag_mismatch
        if given and given != actual and code is not None:
            raise ApiError(code, f"Specified Context `etag`: `{given}` does not match server `etag`: `{actual}`")

    def deployed(self, model: str, version: int | None = None) -> Iterator[tuple[str, Message]]:
        """Yield (endpoint, deployed model) wherever a model, or one version of it, is deployed."""
        for name, endpoint in self.endpoints.items():
            for deployed_model in endpoint.deployed_models:
                base, _, number = deployed_model.model.partition("@")
                if base == model and version in (None, int(number)):
                    yield name, deployed_model
