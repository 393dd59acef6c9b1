"""Machine types and accelerators that online prediction accepts, and what a deployment asks for.

A short list of the documented ones: enough to tell a valid machine from a mistyped one. ``machine_types`` of the
configuration adds others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.cloud.aiplatform_v1.types import AcceleratorType

from vertex_emulator.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from vertex_emulator.messages import Message

DEFAULT_MACHINE = "n1-standard-2"  # types/machine_resources.py: MachineSpec.machine_type
DEFAULT_TARGET = 60  # per cent; types/machine_resources.py: AutoscalingMetricSpec.target
METRICS = frozenset(
    f"aiplatform.googleapis.com/prediction/online/{name}"
    for name in ("cpu/utilization", "accelerator/duty_cycle", "request_count")
) | {
    "prometheus.googleapis.com/vertex_dcgm_fi_dev_gpu_util",
    "prometheus.googleapis.com/vertex_vllm_gpu_cache_usage_perc",
    "prometheus.googleapis.com/vertex_vllm_num_requests_waiting",
}
_MACHINE = re.compile(
    r"n1-standard-(2|4|8|16|32)|n1-highmem-(2|4|8|16|32)|n1-highcpu-(2|4|8|16|32)"
    r"|e2-standard-(2|4|8|16|32)|e2-highmem-(2|4|8|16)|e2-highcpu-(2|4|8|16|32)"
    r"|n2-(standard|highmem|highcpu)-(2|4|8|16|32|48|64|80)|n2d-(standard|highmem|highcpu)-(2|4|8|16|32|48|64|80|96)"
    r"|c2-standard-(4|8|16|30|60)|c3-(standard|highmem|highcpu)-(4|8|22|44|88|176)"
    r"|g2-standard-(4|8|12|16|24|32|48|96)|a2-highgpu-(1|2|4|8)g|a2-megagpu-16g|a2-ultragpu-(1|2|4|8)g"
    r"|a3-highgpu-(1|2|4|8)g|ct5lp-hightpu-(1|4|8)t"
)
_ATTACHABLE = {"NVIDIA_TESLA_T4", "NVIDIA_TESLA_P4", "NVIDIA_TESLA_P100", "NVIDIA_TESLA_V100"}
_BUILT_IN = {"g2-": {"NVIDIA_L4"}, "a2-": {"NVIDIA_TESLA_A100", "NVIDIA_A100_80GB"}, "a3-": {"NVIDIA_H100_80GB"}}


@dataclass(frozen=True)
class Machines:
    """The machines of one deployed model."""

    machine_type: str
    min_replicas: int
    max_replicas: int
    target: float
    """The utilisation, as a fraction, at which the autoscaler aims."""
    spot: bool


def check_machine(spec: Message, also: Collection[str] = ()) -> None:
    """Refuse a machine type that does not exist, or an accelerator that does not go with it."""
    machine = spec.machine_type or DEFAULT_MACHINE
    if not _MACHINE.fullmatch(machine) and machine not in also:
        invalid(f"Machine type {machine!r} is not supported for prediction.")
    accelerator = AcceleratorType(spec.accelerator_type).name
    if spec.accelerator_type == 0:
        if spec.accelerator_count:
            invalid("accelerator_count is set without accelerator_type.")
        return
    if spec.accelerator_count < 1:
        invalid(f"accelerator_count must be at least 1 for {accelerator}.")
    allowed = next((kinds for prefix, kinds in _BUILT_IN.items() if machine.startswith(prefix)), None)
    if allowed is None:
        allowed = _ATTACHABLE if machine.startswith("n1-") else set()
    if machine not in also and accelerator not in allowed:
        invalid(f"Accelerator {accelerator} is not supported with machine type {machine!r}.")


def read_machines(deployed_model: Message, also: Collection[str] = ()) -> Machines:
    """Check a deployed model's resources, fill in Vertex AI's defaults, and return what they say."""
    kind = deployed_model.WhichOneof("prediction_resources")
    if kind == "dedicated_resources":
        return _dedicated(deployed_model.dedicated_resources, also)
    if kind == "automatic_resources":
        resources = deployed_model.automatic_resources
        _fill_replicas(resources)
        return Machines("automatic", resources.min_replica_count, resources.max_replica_count, 0.6, spot=False)
    return invalid("deployed_model needs dedicated_resources or automatic_resources.")


def _dedicated(resources: Message, also: Collection[str]) -> Machines:
    check_machine(resources.machine_spec, also)
    resources.machine_spec.machine_type = resources.machine_spec.machine_type or DEFAULT_MACHINE
    if resources.min_replica_count < 1:
        invalid(f"min_replica_count must be at least 1; it is {resources.min_replica_count}.")
    _fill_replicas(resources)
    if resources.required_replica_count > resources.min_replica_count:
        invalid("required_replica_count must not exceed min_replica_count.")
    for metric in resources.autoscaling_metric_specs:
        if metric.metric_name not in METRICS:
            invalid(f"Autoscaling metric {metric.metric_name!r} is not supported.")
        metric.target = metric.target or DEFAULT_TARGET
    specs = resources.autoscaling_metric_specs
    target = min((spec.target for spec in specs), default=DEFAULT_TARGET) / 100
    return Machines(
        resources.machine_spec.machine_type,
        resources.min_replica_count,
        resources.max_replica_count,
        target,
        spot=resources.spot,
    )


def _fill_replicas(resources: Message) -> None:
    resources.min_replica_count = resources.min_replica_count or 1
    resources.max_replica_count = resources.max_replica_count or resources.min_replica_count
    if not 1 <= resources.min_replica_count <= resources.max_replica_count:
        invalid(
            f"max_replica_count ({resources.max_replica_count}) must not be below min_replica_count "
            f"({resources.min_replica_count}), and neither below 1."
        )
