"""Everything together: Vertex AI and Cloud Monitoring over gRPC, over gRPC with TLS, and over REST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vertex_emulator.clock import Clock, running
from vertex_emulator.config import Config
from vertex_emulator.monitoring.server import Monitoring
from vertex_emulator.rest.server import RestServer
from vertex_emulator.server import Emulator
from vertex_emulator.tls import Certificate, make_certificate

if TYPE_CHECKING:
    from vertex_emulator.logs import LogSink


@dataclass(frozen=True)
class Ports:
    """Where to listen on 127.0.0.1; 0 chooses a free port."""

    grpc: int = 0
    tls: int = 0
    rest: int = 0


class LocalVertex:
    """The emulator as a whole; a context manager.

    ``certificates`` is the folder of the certificate: with it gRPC is served with TLS on a port of its own, and REST with
    TLS on the same port as without.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        certificates: Path | None = None,
        has_rest: bool = True,
        ports: Ports = Ports(),
        seed: int = 1,
        log_sink: LogSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        config = config or Config()
        clock = clock or running()
        project, number = next(iter(config.projects.items()), ("local-project", "123456789012"))
        settings = config.monitoring.as_arguments()
        self.monitoring = Monitoring(project_id=project, project_number=int(number), clock=clock, **settings)
        self.emulator = Emulator(
            config,
            log_sink=log_sink,
            seed=seed,
            monitoring=self.monitoring,
            clock=clock,
        )
        self.certificate: Certificate | None = make_certificate(certificates) if certificates else None
        self.rest_address = ""
        """``localhost:PORT``; "" where REST is not served."""
        self._ports = ports
        self._rest: RestServer | None = None
        if has_rest:
            served = {**self.emulator.methods(), **self.monitoring.methods()}
            self._rest = RestServer(served, self.certificate, self.emulator.administration)

    @property
    def address(self) -> str:
        """Where gRPC is served without TLS, ``127.0.0.1:PORT``."""
        return self.emulator.address

    @property
    def tls_address(self) -> str:
        """Where gRPC is served with TLS, ``localhost:PORT``; "" without a certificate."""
        return self.emulator.tls_address

    @property
    def rest_url(self) -> str:
        """The base of REST's URLs without TLS, with a slash at the end; "" where REST is not served."""
        return f"http://{self.rest_address}/" if self.rest_address else ""

    def start(self) -> LocalVertex:
        """Begin to serve."""
        self.emulator.start(self._ports.grpc, certificate=self.certificate, tls_port=self._ports.tls)
        if self._rest is not None:
            self.rest_address = "localhost:" + self._rest.start(self._ports.rest).rpartition(":")[2]
            self.emulator.served_over_rest_at(self.rest_address)
        self.monitoring.start()
        return self

    def stop(self) -> None:
        """Stop serving."""
        if self._rest is not None:
            self._rest.stop()
        self.emulator.stop()
        self.monitoring.stop()

    def __enter__(self) -> LocalVertex:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def environment(self) -> dict[str, str]:
        """Return the variables by which programs find the emulator, and trust it.

        ``VERTEX_EMULATOR_TLS_ADDRESS`` is what to give as ``api_endpoint``; the two roots replace the public ones, so a
        program that also calls the real cloud cannot use them.
        """
        found = {"VERTEX_EMULATOR_HOST": self.address, "MONITORING_EMULATOR_HOST": self.address}
        if self.certificate is not None:
            roots = str(self.certificate.authority.resolve())
            found["VERTEX_EMULATOR_TLS_ADDRESS"] = self.tls_address
            found["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = roots
            found["REQUESTS_CA_BUNDLE"] = roots
        if self.rest_url:
            found["VERTEX_EMULATOR_REST_ADDRESS"] = self.rest_address
            found["CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM"] = self.rest_url
        return found
