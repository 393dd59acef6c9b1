"""The contract between what serves predictions and what keeps the metrics.

The servers of this package report every measurement through a ``MetricSink``; the Monitoring side stores them and
answers queries. Neither knows the other, so either can be used alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


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


class NullSink:
    """Discards everything; the default where nobody asks for metrics."""

    def add(self, metric: str, labels: Mapping[str, str], resource: Resource, amount: int) -> None:
        """Discard."""

    def observe(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Discard."""

    def set(self, metric: str, labels: Mapping[str, str], resource: Resource, value: float) -> None:
        """Discard."""
