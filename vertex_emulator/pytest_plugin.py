"""Fixtures for other people's tests: a local Vertex AI for the whole test run.

Override ``vertex_emulator_config`` in a ``conftest.py`` to change what it is like::

    @pytest.fixture(scope="session")
    def vertex_emulator_config(tmp_path_factory):
        return Config(projects={"my-project": "42"}, buckets=tmp_path_factory.mktemp("gs"))
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vertex_emulator.config import Config
    from vertex_emulator.stack import LocalVertex

_SOON = 0.05
"""Seconds that every operation takes: one that takes ten minutes would be faithful, and no test would wait for it."""


@pytest.fixture(scope="session")
def vertex_emulator_config() -> Config:
    """The emulator's configuration: the defaults, with operations that are done in a blink."""
    from vertex_emulator.config import Config, Durations

    return Config(durations=Durations(**dict.fromkeys(Durations.__dataclass_fields__, _SOON)))


@pytest.fixture(scope="session")
def vertex_emulator(vertex_emulator_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVertex]:
    """The emulator, over gRPC, gRPC with TLS, and REST; the variables by which programs find it are set.

    gRPC reads the roots that it trusts once in a process, so request this before anything connects.
    """
    from vertex_emulator.stack import LocalVertex

    with LocalVertex(vertex_emulator_config, certificates=tmp_path_factory.mktemp("vertex-emulator")) as local:
        before = {name: os.environ.get(name) for name in local.environment()}
        os.environ.update(local.environment())
        yield local
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
