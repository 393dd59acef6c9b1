"""``google.monitoring.v3.AlertPolicyService``: what is watched, and what counts as a violation.

A policy that this server cannot evaluate (log match, PromQL, MQL, SQL, forecasts) is refused when it is created, rather than kept
and never fired.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping

from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.descriptors import Descriptors
from vertex_emulator.monitoring.filter import parse
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.query import Query, prepare
from vertex_emulator.monitoring.rpc import (
    Method,
    apply_mask,
    invalid_field,
    not_found,
    page,
    project_of,
    unsupported,
)
from vertex_emulator.monitoring.series import SeriesStore, ValueType
from vertex_emulator.monitoring.wire import seconds, set_time

MIN_ABSENCE = 120.0
"""Seconds; ``MetricAbsence.duration``: "The minimum value of this field is 120 seconds"."""
AUTO_CLOSE_LIMITS = (1800.0, 7 * 86400.0)
"""Seconds; an incident without data closes after 30 minutes at the earliest, after seven days by default and at most."""
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_COMPARISONS = ("COMPARISON_GT", "COMPARISON_LT")
_WRITABLE = (
    "display_name",
    "documentation",
    "user_labels",
    "conditions",
    "combiner",
    "enabled",
    "notification_channels",
    "alert_strategy",
    "severity",
)


class AlertPolicyService:
    """The methods of the service; also the list of policies that the evaluator goes through."""

    name = "google.monitoring.v3.AlertPolicyService"

    def __init__(self, store: SeriesStore, descriptors: Descriptors, channel_exists: Callable[[str], bool]) -> None:
        self._store = store
        self._descriptors = descriptors
        self._channel_exists = channel_exists
        self._lock = threading.Lock()
        self._policies: dict[str, Message] = {}

    def methods(self) -> Mapping[str, Method]:
        """The method table."""
        policy = protos.AlertPolicy
        return {
            "CreateAlertPolicy": Method(protos.CreateAlertPolicyRequest, policy, self.create),
            "GetAlertPolicy": Method(protos.GetAlertPolicyRequest, policy, self.get),
            "ListAlertPolicies": Method(protos.ListAlertPoliciesRequest, protos.ListAlertPoliciesResponse, self.list),
            "UpdateAlertPolicy": Method(protos.UpdateAlertPolicyRequest, policy, self.update),
            "DeleteAlertPolicy": Method(protos.DeleteAlertPolicyRequest, protos.Empty, self.delete),
        }

    def enabled(self) -> list[Message]:
        """The policies in force; stored messages are replaced, never changed, so they can be read without a lock."""
        with self._lock:
            return [policy for policy in self._policies.values() if policy.enabled.value]

    def uses_channel(self, name: str) -> bool:
        """Whether any policy notifies this channel."""
        with self._lock:
            return any(name in policy.notification_channels for policy in self._policies.values())

    def queries(self, condition: Message) -> list[Query]:
        """The numerator of a condition and, for a ratio, its denominator."""
        return condition_queries(condition, self._descriptors, self._store)

    def create(self, request: Message) -> Message:
        """Create a policy; the server names it and its conditions."""
        project = project_of(request.name)
        policy = _copy(request.alert_policy)
        policy.name = f"projects/{project}/alertPolicies/{secrets.randbelow(10**19):019d}"
        if not policy.HasField("enabled"):
            policy.enabled.value = True
        for condition in policy.conditions:
            condition.ClearField("name")
        set_time(policy.creation_record.mutate_time, self._store.now())
        return self._put(policy)

    def get(self, request: Message) -> Message:
        """One policy."""
        with self._lock:
            return self._existing(request.name)

    def list(self, request: Message) -> Message:
        """The policies of a project that match a filter on ``display_name`` or user labels."""
        prefix = f"projects/{project_of(request.name)}/"
        expression = parse(request.filter) if request.filter else None
        with self._lock:
            found = [
                policy
                for name, policy in self._policies.items()
                if name.startswith(prefix) and (expression is None or expression.matches(_fields(policy)))
            ]
        items, token = page(found, request.page_size, request.page_token)
        return protos.ListAlertPoliciesResponse(alert_policies=items, next_page_token=token, total_size=len(found))

    def update(self, request: Message) -> Message:
        """Replace a policy, or the fields in the mask; a condition that is sent with its name keeps it."""
        given = request.alert_policy
        with self._lock:
            policy = _copy(self._existing(given.name))
        known = {condition.name for condition in policy.conditions}
        apply_mask(policy, given, list(request.update_mask.paths) or _WRITABLE)
        if not policy.HasField("enabled"):
            policy.enabled.value = True
        for condition in policy.conditions:
            if condition.name and condition.name not in known:
                raise invalid_field("alert_policy.conditions.name", condition.name, "The policy has no such condition.")
        return self._put(policy)

    def delete(self, request: Message) -> Message:
        """Delete a policy; its open incidents are closed by the next evaluation."""
        with self._lock:
            self._existing(request.name)
            del self._policies[request.name]
        return protos.Empty()

    def _put(self, policy: Message) -> Message:
        self._check(policy)
        for condition in policy.conditions:
            condition.name = condition.name or f"{policy.name}/conditions/{secrets.randbelow(10**19):019d}"
        set_time(policy.mutation_record.mutate_time, self._store.now())
        with self._lock:
            self._policies[policy.name] = policy
        return policy

    def _existing(self, name: str) -> Message:
        found = self._policies.get(name)
        if found is None:
            raise not_found(f"Alerting policy {name} not found.")
        return found

    def _check(self, policy: Message) -> None:
        if not policy.display_name:
            raise invalid_field("alert_policy.display_name", "", "A display name must be specified.")
        if not 1 <= len(policy.conditions) <= 6:
            why = "A policy can have from one to six conditions."
            raise invalid_field("alert_policy.conditions", f"{len(policy.conditions)} conditions", why)
        if len(policy.conditions) > 1 and not policy.combiner:
            raise invalid_field("alert_policy.combiner", "COMBINE_UNSPECIFIED", "Several conditions need a combiner.")
        for key, value in policy.user_labels.items():
            if not (_LABEL.fullmatch(key) and _LABEL.fullmatch(value) and key[:1].isalpha()):
                why = "Only lowercase letters, numerals, underscores and dashes, at most 63; keys begin with a letter."
                raise invalid_field("alert_policy.user_labels", f"{key}={value}", why)
        for name in policy.notification_channels:
            if not self._channel_exists(name):
                raise not_found(f"Notification channel {name} not found.")
        strategy = policy.alert_strategy
        if strategy.HasField("notification_rate_limit"):
            why = "Only alert policies with a log match condition may specify a notification rate limit."
            raise invalid_field("alert_policy.alert_strategy.notification_rate_limit", "", why)
        low, high = AUTO_CLOSE_LIMITS
        if strategy.HasField("auto_close") and not low <= seconds(strategy.auto_close) <= high:
            why = "The value must be between 30 minutes and 7 days."
            raise invalid_field("alert_policy.alert_strategy.auto_close", f"{seconds(strategy.auto_close):g}s", why)
        for index, condition in enumerate(policy.conditions):
            _check_condition(condition, f"alert_policy.conditions[{index}]")
            condition_queries(condition, self._descriptors, self._store, f"alert_policy.conditions[{index}]")


def condition_queries(
    condition: Message, descriptors: Descriptors, store: SeriesStore, field: str = "conditions"
) -> list[Query]:
    """The checked queries of a condition: one, or numerator and denominator of a ratio."""
    kind = condition.WhichOneof("condition")
    body = getattr(condition, kind)
    where = f"{field}.{kind}"
    main = prepare(
        body.filter,
        body.aggregations,
        descriptors,
        store,
        f"{where}.filter",
        f"{where}.aggregations",
        resource_type=True,
    )
    queries = [main]
    if kind == "condition_threshold" and body.denominator_filter:
        names = (f"{where}.denominator_filter", f"{where}.denominator_aggregations")
        queries.append(prepare(body.denominator_filter, body.denominator_aggregations, descriptors, store, *names))
        if [s.period for s in main.steps] != [s.period for s in queries[1].steps]:
            why = "The same alignment period must be used for the numerator and the denominator of a ratio."
            raise invalid_field(names[1], "", why)
    result = main.steps[-1].type if main.steps else main.descriptor.value_type
    if kind == "condition_threshold" and result not in (ValueType.INT64, ValueType.DOUBLE, ValueType.BOOL):
        why = f"A threshold needs a number per series, not {result}; align with ALIGN_PERCENTILE_95, for example."
        raise invalid_field(f"{where}.aggregations", "", why)
    return queries


def _check_condition(condition: Message, field: str) -> None:
    kind = condition.WhichOneof("condition")
    if kind not in ("condition_threshold", "condition_absent"):
        if kind is None:
            raise invalid_field(field, "", "A condition must be specified.")
        raise unsupported(f"{field}.{kind}: this local server evaluates thresholds and absence only.")
    body = getattr(condition, kind)
    duration = seconds(body.duration)
    if kind == "condition_absent":
        if duration < MIN_ABSENCE or duration % 60:
            why = "The value must be a multiple of a minute and at least 120 seconds."
            raise invalid_field(f"{field}.condition_absent.duration", f"{duration:g}s", why)
        return
    if duration % 60:
        raise invalid_field(f"{field}.condition_threshold.duration", f"{duration:g}s", "Only multiples of a minute.")
    comparison = comparison_name(body)
    if comparison not in _COMPARISONS:
        why = "Only COMPARISON_LT and COMPARISON_GT are supported."
        raise invalid_field(f"{field}.condition_threshold.comparison", comparison, why)
    if body.evaluation_missing_data and duration < 60:
        why = "The duration must be at least 60 seconds for this."
        raise invalid_field(f"{field}.condition_threshold.evaluation_missing_data", "", why)
    if body.HasField("forecast_options"):
        raise unsupported(f"{field}.condition_threshold.forecast_options: this local server does not forecast.")


def comparison_name(threshold: Message) -> str:
    """The name of a threshold's comparison, e.g. ``COMPARISON_GT``."""
    field = protos.Condition.MetricThreshold.DESCRIPTOR.fields_by_name["comparison"]
    return str(field.enum_type.values_by_number[threshold.comparison].name)


def _copy(policy: Message) -> Message:
    copied = protos.AlertPolicy()
    copied.CopyFrom(policy)
    return copied


def _fields(policy: Message) -> Callable[[str], str]:
    def resolve(selector: str) -> str:
        owner, _, key = selector.partition(".")
        if owner == "user_labels" and key:
            return str(dict(policy.user_labels).get(key, ""))
        return str(getattr(policy, owner)) if owner in ("name", "display_name") else ""

    return resolve
