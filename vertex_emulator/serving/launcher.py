"""Decides what serves a deployed model: its container's own process where the image is known, else a simulated model."""

from __future__ import annotations

import threading
import zlib
from typing import TYPE_CHECKING

from vertex_emulator.names import last_segment
from vertex_emulator.serving.process import Command, ProcessServer
from vertex_emulator.serving.profile import Profile, ProfileBook, profile_from_environment, read_profile
from vertex_emulator.serving.simulated import SimulatedServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vertex_emulator.config import Config
    from vertex_emulator.messages import Message
    from vertex_emulator.serving.contract import ModelServer


class Launcher:
    """Starts and stops model servers."""

    def __init__(self, config: Config, profiles: ProfileBook, seed: int) -> None:
        self._config = config
        self._profiles = profiles
        self._seed = seed
        self._lock = threading.Lock()
        self._running: set[ModelServer] = set()
        self._stopping: list[threading.Thread] = []

    def launch(self, version: Message, endpoint: str, deployed_id: str) -> ModelServer:
        """Start the server of one deployed model; it may need a while to be ready."""
        command = self._command(version.container_spec.image_uri)
        server: ModelServer = (
            self._simulated(version, deployed_id)
            if command is None
            else self._process(command, version, endpoint, deployed_id)
        )
        server.start()
        with self._lock:
            self._running.add(server)
        return server

    def discard(self, server: ModelServer) -> None:
        """Stop a server in the background: it may take seconds, and the state's lock is held here."""
        with self._lock:
            if server not in self._running:
                return
            self._running.discard(server)
            thread = threading.Thread(target=server.stop, name="stop-model-server", daemon=True)
            self._stopping = [old for old in self._stopping if old.is_alive()] + [thread]
            thread.start()

    def stop(self) -> None:
        """Stop every server, and wait until all have ended."""
        with self._lock:
            running = list(self._running)
        for server in running:
            self.discard(server)
        for thread in self._stopping:
            thread.join()

    def _command(self, image: str) -> Sequence[str] | None:
        untagged = image.partition("@")[0]
        head, colon, tag = untagged.rpartition(":")
        if colon and "/" not in tag:
            untagged = head
        for candidate in (image, untagged):
            if candidate in self._config.images:
                return self._config.images[candidate]
        return None

    def _simulated(self, version: Message, deployed_id: str) -> SimulatedServer:
        spec = version.container_spec
        base = read_profile(self._config.simulated.get(spec.image_uri, {}), Profile())
        declared = profile_from_environment({entry.name: entry.value for entry in spec.env}, base)
        model, number = last_segment(version.name), version.version_id
        seed = zlib.crc32(f"{self._seed}/{model}/{number}/{deployed_id}".encode())
        return SimulatedServer(lambda: self._profiles.current(model, number, declared), seed)

    def _process(self, command: Sequence[str], version: Message, endpoint: str, deployed_id: str) -> ProcessServer:
        spec = version.container_spec
        default = f"/v1/endpoints/{last_segment(endpoint)}/deployedModels/{deployed_id}:predict"
        environment = {entry.name: entry.value for entry in spec.env}
        capacity = environment.get("SIM_CAPACITY_RPS")
        return ProcessServer(
            Command(
                arguments=[*command, *spec.args],
                environment={
                    **environment,
                    "AIP_DEPLOYED_MODEL_ID": deployed_id,
                    "AIP_ENDPOINT_ID": last_segment(endpoint),
                    "AIP_PROJECT_NUMBER": endpoint.split("/")[1],
                },
                predict_route=spec.predict_route or default,
                health_route=spec.health_route or default,
                storage=self._storage(version.artifact_uri),
                capacity_rps=float(capacity) if capacity else None,
                start_timeout=self._config.start_timeout,
                predict_timeout=self._config.predict_timeout,
            )
        )

    def _storage(self, uri: str) -> str:
        """Return the local directory of ``gs://bucket/path``, or the URI itself without a directory for buckets."""
        if self._config.buckets is None or not uri.startswith("gs://"):
            return uri
        return str(self._config.buckets / uri.removeprefix("gs://"))
