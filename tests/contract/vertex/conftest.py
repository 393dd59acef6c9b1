from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.channels import VERTEX_EMULATOR
from tests.contract.vertex.local_vertex import LocalVertex
from tests.contract.vertex.wire import Wire, serving


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A recording server that stands where Vertex AI would."""
    recorder = Wire()
    with serving(recorder) as address:
        recorder.address = address
        monkeypatch.setenv(VERTEX_EMULATOR, address)
        yield recorder


@pytest.fixture
def vertex(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalVertex]:
    """A local Vertex AI, where the adapters under test find it."""
    local = LocalVertex()
    monkeypatch.setenv(VERTEX_EMULATOR, local.address)
    yield local
    local.emulator.stop()
