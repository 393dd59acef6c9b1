"""What can be set about the emulator; every value has the default that is documented or usual for Vertex AI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import grpc

AT_START, AT_COMPLETION = "at start", "at completion"
IGNORED, ACCEPTED = "IGNORED", "ACCEPTED"
"""What the JSON configuration says in the place of a status code, where nothing is refused."""


@dataclass(frozen=True)
class Durations:
    """How long operations take, in compressed seconds."""

    upload: float = 60
    create_endpoint: float = 60
    deploy: float = 600
    undeploy: float = 120
    mutate: float = 60
    delete: float = 30
    job_queue: float = 60
    """How long a job is pending before it runs."""
    job: float = 600
    """How long a job runs, unless its label ``emulator-seconds`` says otherwise."""


@dataclass(frozen=True)
class Quotas:
    """Limits per project and region; ``None`` means none. Minutes are compressed minutes.

    Vertex AI's documented defaults are in ``DOCUMENTED``.
    """

    crud_per_minute: int | None = None
    operations_per_minute: int | None = None
    predictions_per_minute: int | None = None
    replicas: int | None = None
    """Replicas over all deployed models of a region, each counted with its maximum (as the protocol says)."""

    @classmethod
    def documented(cls) -> Quotas:
        """Return the quotas of Vertex AI's documentation (replica quotas depend on the project)."""
        return cls(crud_per_minute=600, operations_per_minute=60, predictions_per_minute=30_000)


@dataclass(frozen=True)
class MonitoringSettings:
    """What can be set about Cloud Monitoring."""

    delay: float = 60.0
    """Compressed seconds after the end of its minute at which a measurement can be read."""
    delays: Mapping[str, float] = field(default_factory=dict)
    """Exceptions, by metric type or a prefix of it."""
    buckets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The layout of a metric's distributions, by metric type: {"explicit": {"bounds": [...]}}, {"linear": {"finite": 100,
    "width": 5, "offset": 0}} or {"exponential": {"finite": 60, "growth": 1.2, "scale": 1}}."""

    def as_arguments(self) -> dict[str, Any]:
        """Return what ``Monitoring`` takes."""
        from vertex_emulator.monitoring.distribution import Buckets

        layouts = {metric: Buckets.described(layout) for metric, layout in self.buckets.items()}
        return {"delay": self.delay, "delays": self.delays, "buckets": layouts}


@dataclass(frozen=True)
class Config:
    """The emulator's configuration."""

    projects: Mapping[str, str] = field(default_factory=lambda: {"local-project": "123456789012"})
    """Project numbers by id. Other projects are accepted; their numbers are derived."""
    principal: str = "developer@example.com"
    """Who the audit log says made the calls: without credentials there is nobody else."""
    durations: Durations = Durations()
    quotas: Quotas = Quotas()
    monitoring: MonitoringSettings = MonitoringSettings()
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Commands by container image: the server process that such a model runs. An image that is not listed is simulated.

    An image is found with its tag, then without it.
    """
    simulated: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Profiles of simulated models by image, below what the container's ``SIM_*`` variables say."""
    buckets: Path | None = None
    """A directory in which ``gs://bucket/path`` is ``bucket/path``."""
    start_timeout: float = 30
    """Wall seconds within which a server process must become healthy."""
    predict_timeout: float = 60
    """Wall seconds within which a model server must answer."""
    machine_types: Sequence[str] = ()
    """Machine types that are accepted beyond the built-in list."""
    etag_mismatch: grpc.StatusCode | None = grpc.StatusCode.ABORTED
    """Not documented for endpoints; ABORTED is what other Vertex AI resources answer. ``None``: etags are ignored."""
    duplicate_deployed_model: grpc.StatusCode | None = grpc.StatusCode.ALREADY_EXISTS
    """Not documented: the answer to a deployed model's id that is taken. INVALID_ARGUMENT is as plausible.

    ``None``: it is accepted, and the new deployment takes the place, and the traffic, of the one that had the id.
    """
    duplicate_found: str = AT_START
    """When such an id is refused: by the call, or by the operation's end (then another deployment under way is no obstacle)."""
    dedicated_dns: str = "{endpoint}.{region}-{number}.prediction.vertexai.goog"
    """The name of a dedicated endpoint; "{address}" gives the emulator's own, so that callers
    who use it arrive here; "{rest}" the REST front end's, which is where the high-level SDK sends such predictions."""
    workers: int = 32
    """Threads of the gRPC server: as many predictions are under way at once."""


def load_config(path: Path) -> Config:
    """Read a configuration from a JSON file with the keys of ``Config``; status codes are given by name."""
    return config_from(json.loads(path.read_text()), str(path))


def config_from(document: Mapping[str, object], where: str = "config") -> Config:
    """Return the configuration that a mapping describes."""
    known = {entry.name for entry in fields(Config)}
    if unknown := sorted(set(document) - known):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
    values: dict[str, object] = dict(document)
    for name, lenient in (("etag_mismatch", IGNORED), ("duplicate_deployed_model", ACCEPTED)):
        if name in values:
            values[name] = _code(values[name], lenient, f"{where}: {name}")
    if values.get("duplicate_found", AT_START) not in (AT_START, AT_COMPLETION):
        raise ValueError(f"{where}: duplicate_found must be {AT_START!r} or {AT_COMPLETION!r}")
    for name, kind in (("durations", Durations), ("quotas", Quotas), ("monitoring", MonitoringSettings)):
        if name in values:
            part = values[name]
            if not isinstance(part, Mapping):
                raise ValueError(f"{where}: {name} must be a mapping")
            values[name] = kind(**part)
    if values.get("buckets"):
        values["buckets"] = Path(str(values["buckets"]))
    config = Config(**values)  # type: ignore[arg-type]  # the keys are checked above, the values are the user's
    config.monitoring.as_arguments()  # refuses a layout that is none
    return config


def _code(value: object, lenient: str, where: str) -> grpc.StatusCode | None:
    """Return the status of a name; ``None`` for the word that means that nothing is refused."""
    if value == lenient:
        return None
    if str(value) not in grpc.StatusCode.__members__:
        raise ValueError(f"{where}: {value!r} is neither a status code, e.g. ABORTED, nor {lenient}")
    return grpc.StatusCode[str(value)]
