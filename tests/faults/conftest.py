from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.faults.faults import Disturbance
from tests.faults.rig import Framework, Rig

MakeRig = Callable[..., Rig]


@pytest.fixture(scope="session")
def framework() -> Iterator[Framework]:
    """All functions in the Functions Framework."""
    loaded = Framework()
    yield loaded
    loaded.forget()


@pytest.fixture
def rig(framework: Framework, tmp_path: Path) -> Iterator[Rig]:
    """One local cloud, undisturbed."""
    with Rig(framework, tmp_path) as one:
        yield one


@pytest.fixture
def make_rig(framework: Framework, tmp_path: Path) -> Iterator[MakeRig]:
    """Local clouds one after another; each ends the one before."""
    with ExitStack() as stack:
        numbers = count()

        def make(disturbance: Disturbance | None = None) -> Rig:
            stack.pop_all().close()
            return stack.enter_context(Rig(framework, tmp_path / f"{next(numbers)}", disturbance))

        yield make
