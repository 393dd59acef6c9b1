"""ExportModel: a version's artifact, copied within the directory that stands for Cloud Storage."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_emulator.errors import invalid, precondition
from vertex_emulator.messages import Message, raw
from vertex_emulator.operations import Decided, Work

if TYPE_CHECKING:
    from vertex_emulator.operations import Operations
    from vertex_emulator.registry import Registry
    from vertex_emulator.state import State


class Exports:
    """Serves ExportModel."""

    def __init__(self, state: State, operations: Operations, registry: Registry) -> None:
        self._state = state
        self._operations = operations
        self._registry = registry
        operations.make("ExportModel", self._exporting)

    def ExportModel(self, request: Any) -> Any:
        """Begin to export the version that the name means, in one of the formats that it says it supports."""
        model, number = self._registry.find(request.name)
        version = model.versions[number]
        formats = [entry.id for entry in version.supported_export_formats]
        wanted = request.output_config.export_format_id or next(iter(formats), "")
        if wanted not in formats:
            invalid(
                f"{request.name} cannot be exported as {wanted!r}: it supports {', '.join(formats) or 'no format'}."
            )
        prefix = request.output_config.artifact_destination.output_uri_prefix
        if not prefix.startswith("gs://"):
            invalid("output_config.artifact_destination.output_uri_prefix must be a URI of Cloud Storage: gs://...")
        if self._state.config.buckets is None:
            precondition("An export needs the emulator's configuration key buckets: where gs:// is on this machine.")
        if not self._path(version.artifact_uri).exists():
            precondition(f"The artifact {version.artifact_uri} does not exist.")
        at = self._state.clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        target = f"{prefix.rstrip('/')}/model-export-{model.display_name}-{at}"
        metadata = raw("ExportModelOperationMetadata")()
        metadata.output_info.artifact_output_uri = target

        duration = self._state.config.durations.upload
        decided = {"source": version.artifact_uri, "target": target}
        return self._operations.begin("ExportModel", model.name, request, metadata, duration, decided)

    def _exporting(self, _: str, __: Message, decided: Decided) -> Work:
        source, target = self._path(str(decided["source"])), self._path(str(decided["target"]))

        def finish(_: datetime) -> Message:
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
            return raw("ExportModelResponse")()

        return Work(finish)

    def _path(self, uri: str) -> Path:
        return (self._state.config.buckets or Path()) / uri.removeprefix("gs://")
