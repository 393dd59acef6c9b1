"""Log sinks: what Cloud Logging would export to Pub/Sub, by the filters that Terraform gives it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from local.pubsub.clients import publisher_at

UPLOADS = re.compile(r"\.ModelService\.UploadModel$")
"""Over all method prefixes: v1, v1beta1 and the console's."""


def topic_of(entry: Mapping[str, Any]) -> str | None:
    """The topic that a log entry is exported to; None for one that no sink wants."""
    if UPLOADS.search(str(entry.get("protoPayload", {}).get("methodName", ""))):
        return "model-uploaded"
    if str(entry.get("logName", "")).endswith("aiplatform.googleapis.com%2Fpipeline_job_events"):
        return "training-completed"
    return None


class LogSinks:
    """Exports entries to the Pub/Sub at ``address``."""

    def __init__(self, address: str, project: str) -> None:
        self._publisher = publisher_at(address)
        self._project = project
        self.exported: Counter[str] = Counter()
        """How many entries each topic got."""

    def export(self, entry: Mapping[str, Any]) -> None:
        """Publish the entry where a sink sends it."""
        topic = topic_of(entry)
        if topic is not None:
            self.exported[topic] += 1
            attributes = {"logging.googleapis.com/timestamp": str(entry.get("timestamp", ""))}
            self.publish(f"projects/{self._project}/topics/{topic}", json.dumps(entry).encode(), attributes)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> None:
        """One message; also what Monitoring's Pub/Sub channel does."""
        self._publisher.publish(
            topic=topic, messages=[{"data": data, "attributes": dict(attributes or {})}], timeout=10
        )
