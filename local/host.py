"""Hosts the functions, unchanged, in the real Functions Framework.

``ThreadedHost`` serves all of them from this process: it starts in the time of one, and a debugger sees everything.
``ProcessHost`` gives each a process and a gunicorn server of its own, as Cloud Run does: for fidelity, and to be killed.
Both say where a function listens (``url``), wait until it does, and stop cleanly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from local.process_host import ProcessHost
from local.threaded_host import ThreadedHost

__all__ = ["Host", "ProcessHost", "ThreadedHost", "discover"]


class Host(Protocol):
    """Where functions listen."""

    def url(self, name: str) -> str:
        """The address of a function, without a slash at the end."""

    def stop(self) -> None:
        """End all of them."""


def discover(root: Path) -> dict[str, Path]:
    """The functions of a project: every folder of ``root`` with a ``main.py``, by the folder's name."""
    return {main.parent.name: main.parent for main in sorted(root.glob("*/main.py"))}
