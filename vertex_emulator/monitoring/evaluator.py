"""The evaluator: goes through the enabled policies, opens an incident per violating time series, and closes it again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from vertex_emulator.errors import ApiError
from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.alerting import AlertPolicyService
from vertex_emulator.monitoring.conditions import Watch, advance, fingerprint, visible_minute
from vertex_emulator.monitoring.descriptors import Descriptor, Descriptors
from vertex_emulator.monitoring.incidents import Incident, new_incident_id
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.series import PERIOD, Kind, SeriesId, SeriesStore, ValueType

INTERVAL = 30.0
"""Seconds between evaluations, in the time of the clock."""

_Key = tuple[str, SeriesId]
"""Condition name and series: at most one open incident for each."""


class Evaluator:
    """Turns policies and series into incidents; tells ``notify`` about each that opens or closes."""

    def __init__(
        self,
        store: SeriesStore,
        descriptors: Descriptors,
        policies: AlertPolicyService,
        notify: Callable[[Incident], None],
    ) -> None:
        self._store = store
        self._descriptors = descriptors
        self._policies = policies
        self._notify = notify
        self._lock = threading.Lock()
        self._watches: dict[str, Watch] = {}
        self._open: dict[_Key, Incident] = {}
        self._closed: list[Incident] = []

    def incidents(self) -> list[Incident]:
        """Every incident so far in the order of opening, each as it is now."""
        with self._lock:
            return sorted([*self._closed, *self._open.values()], key=lambda i: (i.started_at, i.id))

    def evaluate(self) -> None:
        """Evaluate all enabled policies at the clock's present."""
        with self._lock:
            policies = self._policies.enabled()
            self._cancel_what_changed(policies)
            for policy in policies:
                for condition in policy.conditions:
                    self._advance(policy, condition)
                self._settle(policy)

    def _advance(self, policy: Message, condition: Message) -> None:
        try:
            queries = self._policies.queries(condition)
        except ApiError:  # the metric was deleted after the policy was made: nothing to evaluate
            return
        watch = self._watches.get(condition.name)
        if watch is None:
            begin = visible_minute(queries, self._store, self._store.now()) - PERIOD
            watch = self._watches[condition.name] = Watch(fingerprint(condition), begin)
        advance(watch, policy, condition, queries, self._store)

    def _settle(self, policy: Message) -> None:
        """Open what is violated now and not open yet; close what is open and no longer violated."""
        violated = self._violated(policy)
        now = int(self._store.now())
        for condition in policy.conditions:
            watch = self._watches.get(condition.name)
            if watch is None:
                continue
            current = violated[condition.name]
            for series, value in current.items():
                if (condition.name, series) not in self._open:
                    self._open_incident(policy, condition, series, value, now)
            for key in [k for k in self._open if k[0] == condition.name and k[1] not in current]:
                incident = self._open.pop(key)
                self._close(replace(incident, policy=policy, observed=watch.values.get(key[1])), now)

    def _violated(self, policy: Message) -> dict[str, dict[SeriesId, float | None]]:
        """The series that violate, by condition, after the policy's combiner."""
        met = {c.name: self._watches[c.name].met if c.name in self._watches else {} for c in policy.conditions}
        combiner = protos.AlertPolicy.ConditionCombinerType.Name(policy.combiner)
        if combiner in ("AND", "AND_WITH_MATCHING_RESOURCE") and not all(met.values()):
            return {name: {} for name in met}
        if combiner == "AND_WITH_MATCHING_RESOURCE":
            resources = [{(s.resource, s.resource_labels) for s in series} for series in met.values()]
            shared = set.intersection(*resources)
            return {
                name: {s: value for s, value in series.items() if (s.resource, s.resource_labels) in shared}
                for name, series in met.items()
            }
        return met

    def _open_incident(
        self, policy: Message, condition: Message, series: SeriesId, value: float | None, now: int
    ) -> None:
        descriptor = self._descriptors.get(series.metric) or Descriptor(series.metric, Kind.GAUGE, ValueType.DOUBLE)
        incident = Incident(new_incident_id(), policy, condition, series, descriptor, value, now)
        self._open[condition.name, series] = incident
        self._notify(incident)

    def _close(self, incident: Incident, now: int) -> None:
        closed = replace(incident, ended_at=now)
        self._closed.append(closed)
        self._notify(closed)

    def _cancel_what_changed(self, policies: list[Message]) -> None:
        """Close the incidents of conditions that are gone, disabled or different, and forget how these stood."""
        current = {c.name: fingerprint(c) for policy in policies for c in policy.conditions}
        stale = {name for name, watch in self._watches.items() if current.get(name) != watch.fingerprint}
        now = int(self._store.now())
        for key in [key for key in self._open if key[0] in stale]:
            self._close(replace(self._open.pop(key), cancelled=True), now)
        for name in stale:
            del self._watches[name]
