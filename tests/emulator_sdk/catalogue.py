"""The list of code paths that are tried with the high-level SDK; importing it costs nothing, the SDK is imported elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVED_IMAGE = "example.com/serving:1"
FAST = {"SIM_LATENCY_MS": "0", "SIM_CAPACITY_RPS": "100000"}
"""The environment of a simulated model that answers at once, however many ask."""


@dataclass(frozen=True)
class Sdk:
    """The SDK, initialised for one transport; what every code path is given."""

    aiplatform: Any
    exceptions: Any
    transport: str
    api_endpoint: str
    buckets: Path

    def upload(self, **options: Any) -> Any:
        """Upload a model, or a version of one."""
        settings = {
            "display_name": "scorer",
            "serving_container_image_uri": SERVED_IMAGE,
            "artifact_uri": "gs://models/scorer",
            "serving_container_environment_variables": FAST,
        }
        return self.aiplatform.Model.upload(**settings | options)

    def two_versions(self) -> Any:
        """Return a model of two versions; the first is the default."""
        model = self.upload(version_aliases=["blue"])
        self.upload(parent_model=model.resource_name, is_default_version=False, version_aliases=["green"])
        return model

    def endpoint(self, **options: Any) -> Any:
        """Create an endpoint."""
        return self.aiplatform.Endpoint.create(**{"display_name": "serving"} | options)

    def serving(self, **options: Any) -> Any:
        """Return an endpoint with one model that has all the traffic."""
        endpoint = self.endpoint()
        endpoint.deploy(self.upload(), traffic_percentage=100, machine_type="n1-standard-2", **options)
        return endpoint

    def refuses(self, kind: str, call: Callable[[], Any], *, code: int) -> str:
        """Assert that a call is refused with the right error, and return its text.

        gRPC tells FailedPrecondition and InvalidArgument apart; REST has their common status, as with the real service.
        """
        expected = getattr(self.exceptions, kind)
        try:
            call()
        except self.exceptions.GoogleAPICallError as error:
            assert error.code == code, f"{error.code}, expected {code}: {error}"
            is_expected = isinstance(error, expected) or self.transport == "rest"
            assert is_expected, f"{type(error).__name__}, expected {kind}: {error}"
            return str(error)
        raise AssertionError(f"Nothing was refused; {kind} was expected")


@dataclass(frozen=True)
class CodePath:
    """One thing that the SDK does, after a published sample or notebook where ``source`` names one."""

    name: str
    source: str
    run: Callable[[Sdk], None]
    transports: tuple[str, ...] = ("grpc", "rest")


PATHS: dict[str, CodePath] = {}


def code_path(
    source: str = "", transports: tuple[str, ...] = ("grpc", "rest")
) -> Callable[[Callable[[Sdk], None]], Callable[[Sdk], None]]:
    """Add a function to the list."""

    def add(run: Callable[[Sdk], None]) -> Callable[[Sdk], None]:
        PATHS[run.__name__] = CodePath(run.__name__, source, run, transports)
        return run

    return add
