"""Log entries as Cloud Logging has them: Admin Activity audit entries, and the states of pipeline jobs.

A long-running method has two entries, with ``operation.first`` and ``operation.last``; what it created is certain only in
the last (documentation: "Audit logging"; "Pipeline logs"). A complete real entry of this service is not published anywhere,
so which optional fields are filled is a composite. Entries are handed to the sink by a thread of its own, in order.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict, SerializeToJsonError

from vertex_emulator import methods
from vertex_emulator.errors import ApiError
from vertex_emulator.messages import Message, copy_of

if TYPE_CHECKING:
    from vertex_emulator.clock import Clock
    from vertex_emulator.names import Projects

LogSink = Callable[[dict[str, Any]], None]
_SERVICE = "aiplatform.googleapis.com"
logger = logging.getLogger(__name__)


class Logs:
    """Writes log entries to a sink."""

    def __init__(self, sink: LogSink | None, projects: Projects, principal: str, clock: Clock) -> None:
        self._sink = sink
        self._projects = projects
        self._principal = principal
        self._clock = clock
        self._numbers = itertools.count(1)
        self._entries: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver."""
        if self._sink is not None:
            self._thread = threading.Thread(target=self._deliver, name="log-entries", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Deliver what is left, and end."""
        if self._thread is not None:
            self._entries.put(None)
            self._thread.join()
            self._thread = None

    def drain(self) -> None:
        """Wait until everything written so far is delivered."""
        if self._thread is not None:
            self._entries.join()

    def audit(
        self,
        method: str,
        resource: str,
        request: Message,
        *,
        response: Message | None = None,
        operation: Mapping[str, Any] | None = None,
        error: ApiError | None = None,
    ) -> None:
        """Write one Admin Activity entry; ``operation`` is {"id", "first" | "last"} for a long-running method."""
        if self._thread is None:
            return
        project = self._project(resource)
        payload: dict[str, Any] = {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": _SERVICE,
            "methodName": methods.full_name(method),
            "resourceName": self._with_project_id(resource),
            "status": {"code": error.number, "message": error.message} if error else {},
            "authenticationInfo": {"principalEmail": self._principal},
            "request": _typed(request),
        }
        if response is not None:
            payload["response"] = _typed(response)
        entry: dict[str, Any] = {
            "logName": f"projects/{project}/logs/cloudaudit.googleapis.com%2Factivity",
            "protoPayload": payload,
            "resource": {
                "type": "audited_resource",
                "labels": {"service": _SERVICE, "method": methods.full_name(method), "project_id": project},
            },
            "severity": "ERROR" if error else "NOTICE",
        }
        if operation is not None:
            entry["operation"] = {"producer": _SERVICE, **operation}
        self._write(entry)

    def pipeline_job_state(self, job: str, pipeline: str, state: str, labels: Mapping[str, str]) -> None:
        """Write one entry of the pipeline job's state log."""
        _, project, _, location, _, job_id = job.split("/")
        self._write(
            {
                "logName": f"projects/{self._projects.id(project)}/logs/aiplatform.googleapis.com%2Fpipeline_job_events",
                "jsonPayload": {
                    "@type": "type.googleapis.com/google.cloud.aiplatform.logging.PipelineJobLogEntry",
                    "pipelineName": pipeline,
                    "state": state,
                },
                "labels": {f"vertex-ai-pipelines/{key}": value for key, value in labels.items()},
                "resource": {
                    "type": "aiplatform.googleapis.com/PipelineJob",
                    "labels": {"resource_container": project, "location": location, "pipeline_job_id": job_id},
                },
                "severity": "ERROR" if state == "PIPELINE_STATE_FAILED" else "INFO",
            }
        )

    def _write(self, entry: dict[str, Any]) -> None:
        if self._thread is None:
            return
        at = self._clock().isoformat().replace("+00:00", "Z")
        number = next(self._numbers)
        self._entries.put({"insertId": f"emulator{number:08d}", "timestamp": at, "receiveTimestamp": at, **entry})

    def _deliver(self) -> None:
        while (entry := self._entries.get()) is not None:
            try:
                if self._sink is not None:
                    self._sink(entry)
            except Exception:  # a sink that fails must not end all later delivery
                logger.exception("The log sink failed for entry %s", entry["insertId"])
            finally:
                self._entries.task_done()
        self._entries.task_done()

    def _project(self, resource: str) -> str:
        return self._projects.id(resource.split("/")[1]) if resource.startswith("projects/") else ""

    def _with_project_id(self, resource: str) -> str:
        if not resource.startswith("projects/"):
            return resource
        parts = resource.split("/", 2)
        return "/".join(["projects", self._project(resource), *parts[2:]])


def _typed(message: Message) -> dict[str, Any]:
    kind = f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
    try:
        return {"@type": kind, **MessageToDict(message)}
    except SerializeToJsonError:  # a mask with a path that JSON cannot express, e.g. in camel case: refused anyway
        without_mask = copy_of(message)
        without_mask.ClearField("update_mask")
        return {"@type": kind, **MessageToDict(without_mask)}
