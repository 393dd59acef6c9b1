"""Loads functions for a process that serves several of them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from functions_framework import _function_registry, create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class FunctionLoader:
    """Loads each ``main.py`` under a module name of its own, and undoes what that leaves behind in the process."""

    def __init__(self) -> None:
        self._entry_points = tempfile.TemporaryDirectory(prefix="functions-")
        self._modules = set(sys.modules)
        self._path = list(sys.path)
        self._names: list[str] = []

    def app(self, name: str, directory: Path) -> WSGIApplication:
        """The Functions Framework's application of the function ``name`` in ``directory``.

        The framework names a module after its file, and all are called main.py. So it is given a file that is named after
        the function and does nothing but import it.
        """
        module = self._module(f"function_{name}", directory / "main.py")
        if not hasattr(module, name):
            raise AttributeError(
                f"{directory / 'main.py'} has no function {name!r}; the entry point is named like the folder."
            )
        entry_point = Path(self._entry_points.name) / f"entry_point_{name}.py"
        entry_point.write_text(f"from function_{name} import {name}\n")
        self._names.append(name)
        with _environment_kept():
            app: WSGIApplication = create_app(name, str(entry_point))
        return app

    def forget(self) -> None:
        """Remove modules, paths and registrations."""
        for module in set(sys.modules) - self._modules:
            if module.startswith(("function_", "entry_point_")):
                del sys.modules[module]
        sys.path[:] = [entry for entry in sys.path if entry in self._path]
        for name in self._names:
            _function_registry.REGISTRY_MAP.pop(name, None)
        self._entry_points.cleanup()

    @staticmethod
    def _module(name: str, source: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, source)
        if spec is None or spec.loader is None or not source.exists():
            raise FileNotFoundError(f"{source} does not exist; a function is a folder with a main.py.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        sys.path.append(str(source.parent))
        spec.loader.exec_module(module)
        return module


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """The framework writes the target's name and signature into the environment, where the next one would find them."""
    names = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
