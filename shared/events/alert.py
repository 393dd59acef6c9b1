"""An alert: Cloud Monitoring's incident, or our own analysis, which is one more source of alerts.

Monitoring's payload has a documented schema (1.2) and several observed variations: the state's case differs, numbers come as
text, ``documentation`` is an object or a text, keys are absent, PromQL conditions have no metric. An alert may be all that
stands between users and a bad model, so only what cannot be told apart from something else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from shared.errors import PermanentError
from shared.events.wire import (
    LooseLabels,
    LooseMoment,
    LooseObject,
    LooseText,
    Moment,
    Ours,
    Text,
    Theirs,
    decode_object,
    encode,
    last_segment,
    read_as,
    read_ours,
    show,
    show_keys,
    write_moment,
)
from shared.text import one_line

SCHEMA = "alert/v1"
State = Literal["open", "closed", "test"]
_NO_METRIC = {"__missing__"}
"""What stands for the metric's type where the condition is a PromQL query."""
_SENTENCE = 500
"""Characters of a sentence: it goes into a ledger entry and a chat message."""


@dataclass(frozen=True)
class Alert:
    """One state of one alert; ``id`` and ``state`` together tell a repeated delivery."""

    source: Literal["monitoring", "analysis"]
    id: str
    state: State
    """``test`` is what Monitoring's button sends: never acted on."""
    project: str | None
    region: str | None
    endpoint: str | None
    deployed_model: str | None
    """None when the condition does not keep the label ``deployed_model_id``."""
    rollout: str | None
    started_at: datetime | None
    ended_at: datetime | None
    sentence: str
    """What happened, for a person."""
    metric: str | None
    observed: str | None
    """As it was written: Monitoring sends ``7679.000``, and sometimes a sentence."""
    limit: str | None
    policy_name: str | None
    """The alert policy's."""
    url: str | None
    severity: str | None


class _Wire(Ours):
    source: Literal["monitoring", "analysis"]
    id: Text
    state: State
    project: Text | None = None
    region: Text | None = None
    endpoint: Text | None = None
    deployed_model: Text | None = None
    rollout: Text | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    sentence: Text
    metric: Text | None = None
    observed: Text | None = None
    limit: Text | None = None
    policy_name: Text | None = None
    url: Text | None = None
    severity: Text | None = None


class _Labelled(Theirs):
    type: LooseText = None
    labels: LooseLabels = Field(default_factory=dict)


class _Threshold(Theirs):
    value: LooseText = Field(default=None, alias="thresholdValue")


class _Condition(Theirs):
    name: LooseText = Field(default=None, alias="displayName")
    threshold: Annotated[_Threshold, LooseObject] = Field(default=_Threshold(), alias="conditionThreshold")


class _Documentation(Theirs):
    subject: LooseText = None
    content: LooseText = None


def _documentation(value: object) -> object:
    """A text in test notifications, an object in all others."""
    return {"content": value} if isinstance(value, str) else value if isinstance(value, dict) else {}


class _Incident(Theirs):
    id: LooseText = Field(default=None, alias="incident_id")
    state: LooseText = None
    started_at: LooseMoment = None
    ended_at: LooseMoment = None
    summary: LooseText = None
    observed: LooseText = Field(default=None, alias="observed_value")
    limit: LooseText = Field(default=None, alias="threshold_value")
    policy_name: LooseText = None
    policy_labels: LooseLabels = Field(default_factory=dict, alias="policy_user_labels")
    condition_name: LooseText = None
    condition: Annotated[_Condition, LooseObject] = _Condition()
    documentation: Annotated[_Documentation, BeforeValidator(_documentation)] = _Documentation()
    metric: Annotated[_Labelled, LooseObject] = _Labelled()
    resource: Annotated[_Labelled, LooseObject] = _Labelled()
    url: LooseText = Field(default=None, validation_alias=AliasChoices("url", "apigee_url"))
    severity: LooseText = None


def parse_alert(message_data: bytes) -> Alert:
    """An incident of Cloud Monitoring, or an alert of our own form."""
    value = decode_object(message_data, "alert")
    if "schema" in value:
        return _plain(Alert(**dict(read_ours(_Wire, value, SCHEMA))))
    incident = value.get("incident")
    if isinstance(incident, dict):
        is_test = str(value.get("version")).lower() == "test"
        return _plain(_incident(read_as(_Incident, incident, "Monitoring incident"), is_test))
    raise PermanentError(
        f'alert: expected Cloud Monitoring\'s "incident" or "schema": "{SCHEMA}"; found {show_keys(value)}'
    )


def _plain(alert: Alert) -> Alert:
    """Every text on one line: what a policy is called, or an incident, somebody else has chosen."""
    texts = {key: one_line(text) or None for key, text in vars(alert).items() if isinstance(text, str)}
    if not texts["id"]:
        raise PermanentError("alert: id: nothing in it can be shown")
    sentence = (texts["sentence"] or f"Incident {texts['id']}")[:_SENTENCE]
    return replace(alert, **texts | {"sentence": sentence})  # type: ignore[arg-type]  # None only where it may be


def alert_message(alert: Alert) -> bytes:
    """An alert of either source in our own form; ``parse_alert`` reads the same one back."""
    times = {"started_at": write_moment(alert.started_at), "ended_at": write_moment(alert.ended_at)}
    return encode(SCHEMA, {**asdict(alert), **times})


def _incident(incident: _Incident, is_test: bool) -> Alert:
    if not incident.id:
        raise PermanentError("Monitoring incident: incident.incident_id: is missing; it tells a repeated delivery")
    metric = None if incident.metric.type in _NO_METRIC else incident.metric.type
    return Alert(
        source="monitoring",
        id=incident.id,
        state=_state(incident.state, is_test),
        **_subject(incident),
        started_at=incident.started_at,
        ended_at=incident.ended_at,
        sentence=_sentence(incident),
        metric=metric,
        observed=incident.observed,
        limit=incident.limit or incident.condition.threshold.value,
        policy_name=incident.policy_name,
        url=incident.url,
        severity=incident.severity,
    )


def _state(found: str | None, is_test: bool) -> State:
    if is_test:
        return "test"
    match (found or "").lower():
        case "open":
            return "open"
        case "closed":
            return "closed"
        case _:
            raise PermanentError(f"Monitoring incident: incident.state: expected open or closed; found {show(found)}")


def _subject(incident: _Incident) -> Mapping[str, Any]:
    """What the alert is about: the resource's labels, else what our Terraform wrote on the alert policy, else the metric's."""
    resource, policy, metric = incident.resource.labels, incident.policy_labels, incident.metric.labels
    project = resource.get("resource_container") or resource.get("project_id") or policy.get("vr_project")
    return {
        "project": last_segment(project) if project else None,
        "region": resource.get("location") or policy.get("vr_region"),
        "endpoint": resource.get("endpoint_id") or policy.get("vr_endpoint") or metric.get("endpoint_id"),
        "deployed_model": metric.get("deployed_model_id") or policy.get("vr_deployed_model"),
        "rollout": policy.get("vr_rollout"),
    }


def _sentence(incident: _Incident) -> str:
    """The condition with its numbers, as our own sentences have them; Monitoring's summary where it gives no numbers."""
    condition = incident.condition_name or incident.condition.name or incident.policy_name
    limit = incident.limit or incident.condition.threshold.value
    said = incident.summary or incident.documentation.subject
    if condition and incident.observed and limit and _is_number(incident.observed):
        said = f"{condition}: observed {_short(incident.observed)}, limit {_short(limit)}"
    elif not said and condition:
        said = f"{condition}: observed {incident.observed or 'nothing'}, limit {limit or 'unknown'}"
    return said or incident.documentation.content or f"Incident {incident.id}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(text: str) -> str:
    return f"{float(text):.4g}" if _is_number(text) else text
