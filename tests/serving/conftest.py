"""One container for the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving.container import relevance_artifact, running


@pytest.fixture(scope="session")
def shared_container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a container with a sound relevance model."""
    with running(relevance_artifact(tmp_path_factory.mktemp("artifact"))) as container:
        yield container.port
