"""How a server's process collects garbage: rarely, since what it holds is state, and the collector would go through all of it again and again."""

from __future__ import annotations

import gc

YOUNG = 5_000
"""Objects made since the last look, from which the collector looks at the young ones again; CPython's own figure is 700."""


def collect_rarely() -> None:
    """For a process that is a server and nothing else; may be called again, best after much state was loaded.

    A list of ten thousand endpoints' series took twice as long while the collector went through a million points for each answer.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
