"""Metric descriptors: what metrics there are, of which kind, and what people call them.

Those of Vertex AI's online prediction are built in (https://cloud.google.com/monitoring/api/metrics_gcp_a_b); the others come into
being when a client creates them or writes the first point.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vertex_emulator.errors import ApiError
from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.rpc import not_found
from vertex_emulator.monitoring.series import Kind, ValueType

ENDPOINT = "aiplatform.googleapis.com/Endpoint"
_ONLINE = "aiplatform.googleapis.com/prediction/online/"
_SHARED = ("deployed_model_id", "spot", "model_display_name", "endpoint_display_name")
_REPLICA = ("deployed_model_id", "replica_id", "spot")


@dataclass(frozen=True)
class Descriptor:
    """One metric type."""

    type: str
    kind: Kind
    value_type: ValueType
    labels: tuple[str, ...] = ()
    unit: str = "1"
    display_name: str = ""
    description: str = ""

    def to_proto(self, project: str) -> Message:
        """The descriptor as ``google.api.MetricDescriptor``."""
        return protos.MetricDescriptor(
            name=f"projects/{project}/metricDescriptors/{self.type}",
            type=self.type,
            metric_kind=protos.MetricDescriptor.MetricKind.Value(self.kind),
            value_type=protos.MetricDescriptor.ValueType.Value(self.value_type),
            unit=self.unit,
            display_name=self.display_name,
            description=self.description,
            labels=[protos.LabelDescriptor(key=key) for key in self.labels],
            monitored_resource_types=[ENDPOINT] if self.type.startswith(_ONLINE) else [],
        )


def _online(
    name: str, kind: Kind, type_: ValueType, display: str, labels: tuple[str, ...] = _SHARED, unit: str = "1"
) -> Descriptor:
    return Descriptor(_ONLINE + name, kind, type_, labels, unit, display)


_BUILT_IN = (
    _online("prediction_count", Kind.DELTA, ValueType.INT64, "Prediction count"),
    _online("error_count", Kind.DELTA, ValueType.INT64, "Error count"),
    _online("response_count", Kind.DELTA, ValueType.INT64, "Response count", (*_SHARED, "response_code")),
    _online(
        "prediction_latencies",
        Kind.DELTA,
        ValueType.DISTRIBUTION,
        "Prediction latencies",
        (*_SHARED, "latency_type"),
        "ms",
    ),
    _online("replicas", Kind.GAUGE, ValueType.INT64, "Replica count"),
    _online("target_replicas", Kind.GAUGE, ValueType.INT64, "Replica target"),
    _online("machine_count", Kind.GAUGE, ValueType.INT64, "Machine count"),
    _online("cpu/utilization", Kind.GAUGE, ValueType.DOUBLE, "CPU utilization", _REPLICA, "10^2.%"),
    _online("accelerator/duty_cycle", Kind.GAUGE, ValueType.DOUBLE, "Accelerator duty cycle", _REPLICA, "10^2.%"),
    _online("accelerator/memory/bytes_used", Kind.GAUGE, ValueType.INT64, "Accelerator memory usage", _REPLICA, "By"),
    _online("memory/bytes_used", Kind.GAUGE, ValueType.INT64, "Memory usage", _REPLICA, "By"),
    _online("network/received_bytes_count", Kind.DELTA, ValueType.INT64, "Network bytes received", _REPLICA, "By"),
    _online("network/sent_bytes_count", Kind.DELTA, ValueType.INT64, "Network bytes sent", _REPLICA, "By"),
)


class Descriptors:
    """All known metric types. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_type = {d.type: d for d in _BUILT_IN}

    def get(self, type_: str) -> Descriptor | None:
        """The descriptor of a metric type, if there is one."""
        with self._lock:
            return self._by_type.get(type_)

    def all(self) -> list[Descriptor]:
        """Every descriptor, by type."""
        with self._lock:
            return sorted(self._by_type.values(), key=lambda d: d.type)

    def value_type(self, type_: str) -> ValueType | None:
        """The value type of a metric, if it is known."""
        found = self.get(type_)
        return found.value_type if found else None

    def put(self, descriptor: Descriptor) -> None:
        """Create or replace a descriptor."""
        with self._lock:
            self._by_type[descriptor.type] = descriptor

    def learn(self, type_: str, kind: Kind, value_type: ValueType, labels: Iterable[str]) -> Descriptor:
        """The descriptor for a point that is being written: made on the first write, given new labels on later ones."""
        with self._lock:
            known = self._by_type.get(type_)
            if known is None:
                known = Descriptor(type_, kind, value_type, display_name=type_.rsplit("/", 1)[-1])
            new = tuple(sorted(set(labels) - set(known.labels)))
            self._by_type[type_] = known = replace(known, labels=known.labels + new) if new else known
            return known

    def delete(self, type_: str) -> bool:
        """Forget a descriptor; whether there was one."""
        with self._lock:
            return self._by_type.pop(type_, None) is not None


def unknown_metric(type_: str) -> ApiError:
    """NOT_FOUND, in Google's words: what a query or an alert policy on a metric never written gets."""
    return not_found(
        f'Cannot find metric(s) that match type = "{type_}". If a metric was created recently, it could take up to '
        "10 minutes to become available. Please try again soon."
    )
