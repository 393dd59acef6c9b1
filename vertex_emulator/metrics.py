"""The contract between what serves predictions and what keeps the metrics.

The servers of this package report every measurement through a ``MetricSink``; the Monitoring side stores them and
answers queries. Neither knows the other, so either can be used alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable


class Labels(Mapping[str, str]):
    """Labels that never change, for those who report the same series again and again: their hash is computed once."""

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._hash = hash(tuple(sorted(self._values.items())))

    def __getitem__(self, key: str) -> str:
        """The value of a label."""
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def __hash__(self) -> int:
        """The same for all with the same labels."""
        return self._hash


@dataclass(frozen=True)
class Resource:
    """A monitored resource: what a time series is about, e.g. one Vertex AI endpoint."""

    type: str
    labels: Mapping[str, str] = field(default_factory=dict)


class MetricSink(Protocol):
    """Takes measurements; ``metric`` is the full type, e.g. ``aiplatform.googleapis.com/prediction/online/replicas``.

    Called from many threads at once and on the path of every prediction, so an implementation is thread-safe and cheap.
    """

    def add(self, metric: str, labels: Mapping[str, str], resource: Resource, amount: int) -> None:
        """Add ``amount`` to a DELTA INT64 metric."""

    def observe(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Add one observation to a DELTA DISTRIBUTION metric."""

    def set(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Set a GAUGE metric's present value."""


class Observation(NamedTuple):
    """One measurement of a DELTA metric."""

    metric: str
    labels: Mapping[str, str]
    resource: Resource
    value: float
    is_count: bool
    """Whether it is added to an INT64, rather than observed in a DISTRIBUTION."""


@runtime_checkable
class BulkSink(Protocol):
    """A sink that takes several measurements of one moment at less cost than one by one."""

    def record(self, observations: Sequence[Observation]) -> None:
        """Take them all."""


class NullSink:
    """Discards everything; the default where nobody asks for metrics."""

    def add(self, metric: str, labels: Mapping[str, str], resource: Resource, amount: int) -> None:
        """Discard."""

    def observe(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Discard."""

    def set(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Discard."""
