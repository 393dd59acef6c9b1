"""Cloud Logging's LogEntry, as a sink exports it to Pub/Sub: what the kinds of entry have in common.

Everything in it is a hint: entries are documented in parts only, so a key that is absent or of another type is never a
reason to refuse one, as long as it still says what happened to what.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.events.wire import LooseLabels, LooseMoment, LooseObject, LooseText, Theirs, part_of


class MonitoredResource(Theirs):
    """google.api.MonitoredResource."""

    type: LooseText = None
    labels: LooseLabels = Field(default_factory=dict)


class LogEntry(Theirs):
    """google.logging.v2.LogEntry without its payload."""

    log_name: LooseText = Field(default=None, alias="logName")
    resource: Annotated[MonitoredResource, LooseObject] = MonitoredResource()
    labels: LooseLabels = Field(default_factory=dict)
    timestamp: LooseMoment = None

    def project(self, *names: str | None) -> str | None:
        """The project that the entry is about.

        Names inside the payload carry the project's number; the resource's label and the log's name carry its id, which
        is what policies are written with.
        """
        of_log = part_of(self.log_name, "projects")
        of_names = next((found for name in names if (found := part_of(name, "projects"))), None)
        return self.resource.labels.get("project_id") or of_log or of_names
