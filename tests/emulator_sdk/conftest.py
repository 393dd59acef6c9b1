"""One emulator for all of these tests, and gone after them, over gRPC with TLS and over REST; operations take a blink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vertex_emulator.config import Config, Durations
from vertex_emulator.stack import LocalVertex

BLINK = 0.05


@pytest.fixture(scope="package")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where gs:// is on this machine."""
    directory = tmp_path_factory.mktemp("buckets")
    artifact = directory / "models" / "scorer"
    artifact.mkdir(parents=True)
    (artifact / "model.txt").write_text("weights")
    return directory


@pytest.fixture(scope="package")
def local(buckets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVertex]:
    """The emulator."""
    durations = Durations(**dict.fromkeys(Durations.__dataclass_fields__, BLINK))
    config = Config(durations=durations, buckets=buckets, dedicated_dns="{rest}", workers=64)
    with LocalVertex(config, certificates=tmp_path_factory.mktemp("certificates")) as started:
        yield started
