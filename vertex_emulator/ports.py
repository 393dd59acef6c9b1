"""Ports for gRPC servers that begin and end many times in one process, as they do in tests."""

from __future__ import annotations

from collections.abc import Callable

_taken: set[int] = set()
"""Every port that a server of this process was given."""


def fresh_port(bind: Callable[[str], int], host: str = "127.0.0.1", port: int = 0) -> int:
    """Let a server listen on a port that no earlier server of this process had; ``port`` asks for one by name, and gets it.

    ``bind`` is the server's own ``add_insecure_port``, or its like for TLS: it takes ``host:port`` and returns the port.
    gRPC shares connections by address in the whole process. A client that outlives its server leaves one behind that waits for up to two
    minutes before it tries again; a new server at the same address, and a new client of it, would be "connection refused" so long.
    A port that turns out to be used before stays bound, so that the system offers another.
    """
    while True:
        bound = bind(f"{host}:{port}")
        if port or bound not in _taken:
            _taken.add(bound)
            return bound
