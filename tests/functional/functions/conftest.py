"""The functions, loaded once, and a cloud for each story."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.functions.harness import Apps, Cloud


@pytest.fixture(scope="session")
def apps() -> Iterator[Apps]:
    loaded = Apps()
    yield loaded
    loaded.forget()


@pytest.fixture
def cloud(apps: Apps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Local servers that the functions are pointed at."""
    made = Cloud(apps, tmp_path)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    made.open()
    yield made
    made.close()
