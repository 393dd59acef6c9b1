"""The local servers of the benches and of the tests of zips run as ``local.process.Part``."""

from __future__ import annotations

import pytest

# Part leaves the pipe from which it read the address to the garbage collector; every other warning stays an error.
_PIPE = "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "infra":
            item.add_marker(pytest.mark.filterwarnings(_PIPE))
