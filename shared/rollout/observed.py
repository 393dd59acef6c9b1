"""What is seen of the world: plain values that the adapters fill and the pure core reads.

Nothing here knows how it was read. Names are ids (last segments): Vertex AI answers with project numbers where it was asked with
project ids, so full names cannot be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, order=True)
class TargetRef:
    """One endpoint, by ids."""

    project: str
    region: str
    endpoint: str

    def __str__(self) -> str:
        return f"{self.project}/{self.region}/{self.endpoint}"

    @classmethod
    def parse(cls, text: str) -> TargetRef:
        """The inverse of ``str``."""
        project, region, endpoint = text.split("/")
        return cls(project, region, endpoint)


@dataclass(frozen=True)
class DeployedModel:
    """One model version on machines of its own, behind an endpoint."""

    id: str
    model: str
    """Model id, without project, region or version."""
    version: str
    """Of a copy, the version that it is a copy of: one version has one number wherever it is delivered."""
    min_replicas: int
    max_replicas: int
    available_replicas: int | None = None
    """Live now (DeployedModel.status); None where Vertex AI does not say."""
    machine_type: str = ""
    created_at: datetime | None = None
    accelerator: str = ""
    accelerator_count: int = 0
    spot: bool = False
    autoscale_percent: int | None = None
    """The autoscaler's target for the processor, where one was named."""
    pool: str = ""
    """Whose machines it shares; its replicas are the pool's then, and none of its own are counted."""
    copied_as: str = ""
    """Of a copy, its number in the registry of its own region; empty for what is no copy."""

    @property
    def registered(self) -> str:
        """Its number in the registry of its own region."""
        return self.copied_as or self.version

    @property
    def present_replicas(self) -> int:
        """How many replicas it has, as far as is known."""
        return self.available_replicas or self.min_replicas


@dataclass(frozen=True)
class Pool:
    """Machines that several deployed models share."""

    id: str
    machine_type: str


@dataclass(frozen=True)
class Pointer:
    """What a bucket's object says about a pair of endpoints, and its labels, as ``generation`` has them."""

    generation: int
    live: str
    """The endpoint that clients ask."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two endpoints that are one to everybody who decides (blue-green): ``Endpoint`` shows both, and the split is a pointer."""

    blue: Endpoint
    green: Endpoint | None
    pointer: Pointer | None
    """None until a first version is live."""

    @property
    def live(self) -> Endpoint | None:
        """The one that clients ask."""
        both = (self.blue, self.green)
        return next((e for e in both if e and self.pointer and e.ref.endpoint == self.pointer.live), None)

    @property
    def idle(self) -> Endpoint | None:
        """The other one, where the next version goes; the first endpoint where none is live."""
        return self.green if self.pointer and self.pointer.live == self.blue.ref.endpoint else self.blue

    def holder(self, deployed_id: str) -> Endpoint | None:
        """On which of the two a deployed model stands."""
        return next((e for e in (self.blue, self.green) if e and e.find(deployed_id)), None)


@dataclass(frozen=True)
class Slot:
    """The keys of one arm of a sticky experiment."""

    arm: str
    deployed_id: str
    endpoint: str
    """The arm's own."""
    share: int
    """Percent of all keys; the slot keeps its width when the arm is out, or other keys would move."""
    is_in: bool = True
    """Whether its keys meet the arm; they meet the control otherwise."""


@dataclass(frozen=True)
class Assignment:
    """What a bucket's object says about the arms of a sticky experiment, and its labels, as ``generation`` has them."""

    generation: int
    experiment: str
    """The rollout; empty for what is no such object."""
    slots: tuple[Slot, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the keys by deployed model, without the control's."""
        return {slot.deployed_id: slot.share for slot in self.slots if slot.is_in}


@dataclass(frozen=True)
class Group:
    """An endpoint and those of the arms beside it, which are one to everybody who decides: the split between them is an object's."""

    main: Endpoint
    arms: tuple[Endpoint, ...] = ()
    assignment: Assignment | None = None
    """None where there is no object."""
    mark: str = ""
    """The rollout whose object the main endpoint names."""

    @property
    def in_force(self) -> Assignment | None:
        """The object, if the main endpoint says that it counts."""
        return self.assignment if self.assignment and self.mark and self.assignment.experiment == self.mark else None

    def holder(self, deployed_id: str) -> Endpoint | None:
        """On which of the endpoints a deployed model stands."""
        return next((e for e in (self.main, *self.arms) if e.find(deployed_id)), None)

    def arm_on(self, endpoint: str) -> Endpoint | None:
        """The arm's endpoint of that name."""
        return next((e for e in self.arms if e.ref.endpoint == endpoint), None)

    def answers(self, deployed_id: str) -> bool:
        """Whether who asks its endpoint is answered by it."""
        holder = self.holder(deployed_id)
        return holder is not None and holder.share(deployed_id) == 100


@dataclass(frozen=True)
class Endpoint:
    """One endpoint as read at one moment; ``etag`` guards the write that follows. A pair looks like its first endpoint with the models of both,
    and so does one with arms of a sticky experiment beside it."""

    ref: TargetRef
    etag: str
    labels: Mapping[str, str]
    split: Mapping[str, int]
    """Deployed-model id to percent; sums to 100 or is empty."""
    deployed: tuple[DeployedModel, ...] = ()
    display_name: str = ""
    created_at: datetime | None = None
    pair: Pair | None = None
    group: Group | None = None

    @property
    def vacant(self) -> TargetRef:
        """Where the next version is deployed."""
        return self.pair.idle.ref if self.pair and self.pair.idle else self.ref

    def place(self, deployed_id: str) -> TargetRef:
        """Where a deployed model stands."""
        several = self.pair or self.group
        holder = several.holder(deployed_id) if several else None
        return holder.ref if holder else self.ref

    def find(self, deployed_id: str | None) -> DeployedModel | None:
        """The deployed model of that id, if it is ready; one that is still deploying is not visible."""
        return next((d for d in self.deployed if d.id == deployed_id), None)

    def share(self, deployed_id: str | None) -> int:
        """Its percent of the traffic; 0 for one that is not in the split."""
        return self.split.get(deployed_id or "", 0)


@dataclass(frozen=True)
class ModelVersion:
    """One version in the Model Registry."""

    project: str
    region: str
    model: str
    version: str
    aliases: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    artifact_uri: str = ""
    created_at: datetime | None = None
    description: str = ""
    """Of the version; ours holds the lineage in full, which labels have no room for."""
    copied_from: str = ""
    """``region/model@version`` where Vertex AI says that it is a copy (Model.original_model_info); of the same project."""


@dataclass(frozen=True)
class OperationState:
    """A long-running operation as read at one moment."""

    name: str
    done: bool
    error: str = ""
    """Vertex AI's own reason, empty unless it failed."""
    retryable: bool = False
    """Whether a later attempt may succeed: quota and capacity, not a container that never becomes healthy."""
    result: str = ""
    """What it made: a deployed-model id, ``model@version`` or an endpoint id."""


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, as a Cloud Monitoring distribution carries them.

    ``counts`` has one entry more than ``edges``: below the first, between each two, above the last. ``mean`` and
    ``deviation`` (sum of squared deviations) are exact, the rest is as fine as the edges.
    """

    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    mean: float = 0.0
    deviation: float = 0.0

    @cached_property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class ArmMinute:
    """What one deployed model served in one minute."""

    requests: int = 0
    errors: int = 0
    values: Mapping[str, Histogram] = field(default_factory=dict)
    """By metric: ``latency_ms`` and the user's own."""


@dataclass(frozen=True)
class Minute:
    """One minute of one endpoint; ``at`` is its end. Arms that served nothing are absent: missing is not zero."""

    at: datetime
    arms: Mapping[str, ArmMinute] = field(default_factory=dict)
