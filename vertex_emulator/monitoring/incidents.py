"""Incidents, and the notification that Cloud Monitoring sends about them: schema 1.2, shared by Pub/Sub and webhooks.

Shape and wording follow notifications that were observed: numbers as strings with three decimals, ``ended_at`` null while open,
``policy_user_labels`` only when there are any, the labels of metric and resource only as far as the condition kept them.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.alerting import comparison_name
from vertex_emulator.monitoring.descriptors import Descriptor
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.series import SeriesId

CANCELLED = "Incident cancelled because the alert policy condition was deleted or modified"
"""What takes the place of the observed value when the policy, not the metric, ended the incident."""

_ALPHABET = string.ascii_lowercase + string.digits
_SEVERITIES = {0: "No severity", 1: "Critical", 2: "Error", 3: "Warning"}
_RESOURCES = {
    "aiplatform.googleapis.com/Endpoint": "Vertex AI Endpoint",
    "generic_node": "Generic Node",
    "generic_task": "Generic Task",
    "global": "Global",
}
_CHANNELS = {"pubsub": "cloud-pubsub"}
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Project:
    """The scoping project, by both of its names."""

    id: str
    number: int


@dataclass(frozen=True)
class Incident:
    """One violation of one condition by one time series, from the evaluation that found it to the one that found it gone."""

    id: str
    policy: Message
    condition: Message
    series: SeriesId
    descriptor: Descriptor
    observed: float | None
    """The value that violated, then the one that ended it; ``None`` where data is absent."""
    started_at: int
    ended_at: int | None = None
    cancelled: bool = False

    @property
    def state(self) -> str:
        """``open`` or ``closed``."""
        return "open" if self.ended_at is None else "closed"


def new_incident_id() -> str:
    """An id of the form Google gives: ``0.`` and twelve characters."""
    return "0." + "".join(secrets.choice(_ALPHABET) for _ in range(12))


def notification(incident: Incident, project: Project, channel_type: str) -> bytes:
    """The message about an incident, as a channel of this type delivers it."""
    series, policy, condition = incident.series, incident.policy, incident.condition
    body: dict[str, Any] = {
        "condition": _condition_json(condition),
        "condition_name": condition.display_name,
        "documentation": _documentation(incident, project),
        "ended_at": incident.ended_at,
        "incident_id": incident.id,
        "metadata": {"system_labels": {}, "user_labels": {}},
        "metric": {
            "displayName": incident.descriptor.display_name,
            "labels": dict(series.metric_labels),
            "type": series.metric,
        },
        "observed_value": _observed(incident),
        "policy_name": policy.display_name,
        "resource": {"labels": dict(series.resource_labels), "type": series.resource},
        "resource_display_name": "",
        "resource_id": "",
        "resource_name": _resource_name(incident, project),
        "resource_type_display_name": _resource_display(series.resource),
        "scoping_project_id": project.id,
        "scoping_project_number": project.number,
        "severity": _SEVERITIES[policy.severity],
        "started_at": incident.started_at,
        "state": incident.state,
        "summary": _summary(incident, project),
        "url": f"https://console.cloud.google.com/monitoring/alerting/alerts/{incident.id}"
        f"?channelType={_CHANNELS.get(channel_type, 'webhook')}&project={project.id}",
    }
    if condition.WhichOneof("condition") == "condition_threshold":
        body["threshold_value"] = f"{condition.condition_threshold.threshold_value:.15g}"
    if policy.user_labels:
        body["policy_user_labels"] = dict(policy.user_labels)
    return json.dumps({"incident": body, "version": "1.2"}, sort_keys=True).encode()


def verification(project: Project) -> bytes:
    """The notification that "Send test notification" produces: its version is ``test``, its state in capitals."""
    example = {"example": "label"}
    threshold = {
        "filter": 'metric.type="test.googleapis.com/metric" resource.type="example_resource"',
        "comparison": "COMPARISON_GT",
        "thresholdValue": 0.5,
        "duration": "0s",
        "trigger": {"count": 1},
    }
    policy = f"projects/{project.number}/alertPolicies/12345"
    condition = {
        "name": f"{policy}/conditions/12345",
        "displayName": "Example condition",
        "conditionThreshold": threshold,
    }
    body = {
        "incident_id": "12345",
        "scoping_project_id": project.id,
        "scoping_project_number": project.number,
        "url": "http://www.example.com",
        "started_at": 0,
        "ended_at": 0,
        "state": "OPEN",
        "summary": "Test Incident",
        "apigee_url": "http://www.example.com",
        "observed_value": "1.0",
        "resource": {"type": "example_resource", "labels": example},
        "resource_type_display_name": "Example Resource Type",
        "resource_id": "12345",
        "resource_display_name": "Example Resource",
        "resource_name": f"projects/{project.number}/example_resources/12345",
        "metric": {"type": "test.googleapis.com/metric", "displayName": "Test Metric", "labels": example},
        "metadata": {"system_labels": example, "user_labels": example},
        "policy_name": policy,
        "policy_user_labels": example,
        "documentation": "Test documentation",
        "condition": condition,
        "condition_name": "Example condition",
        "threshold_value": "0.5",
    }
    return json.dumps({"version": "test", "incident": body}).encode()


def _observed(incident: Incident) -> str:
    if incident.cancelled:
        return CANCELLED
    return "" if incident.observed is None else f"{incident.observed:.3f}"


def _condition_json(condition: Message) -> dict[str, Any]:
    """The condition as JSON; whole numbers without a fraction, as Google writes them."""
    found = json_format.MessageToDict(condition)
    threshold = found.get("conditionThreshold", {})
    value = threshold.get("thresholdValue")
    if isinstance(value, float) and value.is_integer():
        threshold["thresholdValue"] = int(value)
    return found


def _documentation(incident: Incident, project: Project) -> dict[str, Any]:
    """Content, subject and links with their variables filled in; a missing subject is generated."""
    documentation = incident.policy.documentation
    subject = documentation.subject or f"{incident.condition.display_name} on {_resource_name(incident, project)}"
    word = "ALERT" if incident.ended_at is None else "RESOLVED"
    found: dict[str, Any] = {
        "content": _filled(documentation.content, incident, project),
        "mime_type": documentation.mime_type,
        "subject": f"[{word} - {_SEVERITIES[incident.policy.severity]}] {_filled(subject, incident, project)}"[:255],
    }
    if documentation.links:
        found["links"] = [
            {"displayName": link.display_name, "url": _filled(link.url, incident, project)}
            for link in documentation.links
        ]
    return found


def _filled(text: str, incident: Incident, project: Project) -> str:
    """``text`` with its variables replaced; https://cloud.google.com/monitoring/alerts/doc-variables."""
    series = incident.series
    values = {
        "condition.name": incident.condition.name,
        "condition.display_name": incident.condition.display_name,
        "policy.name": incident.policy.name,
        "policy.display_name": incident.policy.display_name,
        "metric.type": series.metric,
        "metric.display_name": incident.descriptor.display_name,
        "resource.type": series.resource,
        "resource.project": project.id,
        "project": project.id,
    }
    for owner, labels in (
        ("metric.label", series.metric_labels),
        ("resource.label", series.resource_labels),
        ("policy.user_label", tuple(incident.policy.user_labels.items())),
    ):
        for key, value in labels:
            values[f"{owner}.{key}"] = values[f"{owner}s.{key}"] = value
    return _VARIABLE.sub(lambda match: values.get(match.group(1), "(none)"), text)


def _resource_display(type_: str) -> str:
    return _RESOURCES.get(type_, type_)


def _resource_name(incident: Incident, project: Project) -> str:
    display = _resource_display(incident.series.resource)
    return f"{project.id} {display} labels {_braces(incident.series.resource_labels)}"


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ", ".join(f"{key}={value}" for key, value in labels) + "}"


def _summary(incident: Incident, project: Project) -> str:
    series = incident.series
    about = f"{incident.descriptor.display_name or series.metric} for {_resource_name(incident, project)}"
    if series.metric_labels:
        about += f" with metric labels {_braces(series.metric_labels)}"
    if incident.cancelled:
        return f"{about}: {CANCELLED}."
    condition = incident.condition
    if condition.WhichOneof("condition") == "condition_absent":
        return f"{about} has no data." if incident.ended_at is None else f"{about} has data again."
    value = _observed(incident) or "no data"
    if incident.ended_at is not None:
        return f"{about} returned to normal with a value of {value}."
    threshold = condition.condition_threshold
    side = "above" if comparison_name(threshold) == "COMPARISON_GT" else "below"
    return f"{about} is {side} the threshold of {threshold.threshold_value:.3f} with a value of {value}."


def wants(policy: Message, state: str) -> bool:
    """Whether the policy's ``notification_prompts`` ask for a message about this state; both, where nothing is said."""
    prompts = [
        protos.AlertPolicy.AlertStrategy.NotificationPrompt.Name(prompt)
        for prompt in policy.alert_strategy.notification_prompts
    ]
    return not prompts or ("OPENED" if state == "open" else "CLOSED") in prompts
