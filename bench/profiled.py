"""The Functions Framework's server with a profile of its function: ``python -S bench/profiled.py FILE SKIPPED -m functions_framework ...``.

Every request is profiled from the moment at which the server hands it to the framework's application to its answer, but the first SKIPPED. FILE is
written anew after each, as cProfile writes it. Requests take turns: one profiler cannot follow two threads.
"""

from __future__ import annotations

import cProfile
import runpy
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import functions_framework

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Profiled:
    """An application, and where the time of its requests goes."""

    def __init__(self, application: Application, file: str, skipped: int) -> None:
        self._application = application
        self._file = file
        self._skipped = skipped
        self._profile = cProfile.Profile()
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._turn:
            if self._skipped:
                self._skipped -= 1
                return self._application(environ, start_response)
            found = self._profile.runcall(self._application, environ, start_response)
            self._profile.dump_stats(self._file)
            return found


def main() -> None:
    """Run the module that is named behind ``-m``, as Python itself would."""
    file, skipped, _, module = sys.argv[1:5]
    create = functions_framework.create_app

    def create_profiled(*arguments: Any, **options: Any) -> Any:
        app = create(*arguments, **options)
        app.wsgi_app = Profiled(app.wsgi_app, file, int(skipped))
        return app

    functions_framework.create_app = create_profiled
    sys.argv = sys.argv[4:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
