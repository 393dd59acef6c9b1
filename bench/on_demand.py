"""A function without an instance until a request comes: the first request starts one, is held until its port accepts, and is forwarded.

That is what Cloud Run does with a service that was scaled to zero: the request waits in its queue while the instance starts, and goes to it as
soon as the port answers (the default startup probe opens a TCP connection, nothing more). From there on it waits as it does there, until the
server's worker has loaded the function. The instance is a new process from the function's own unpacked zip, so everything is imported anew.

What is left out, for every function alike: fetching the image and making the sandbox, which Google does before the first instruction of the
container; the network; credentials and TLS; and the extra processor that ``startup_cpu_boost`` lends. The disk's cache is warm.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self

from bench.events import Event
from bench.served import Served
from bench.subjects import Subject
from bench.trial import BenchError
from local.http_server import HttpServer

_PATIENCE_SECONDS = 60.0


class OnDemand:
    """A context manager; ``url`` is what is pushed to. ``started`` counts the instances."""

    def __init__(self, subject: Subject, environment: Mapping[str, str], home: Path) -> None:
        self.started = 0
        self._subject = subject
        self._environment = environment
        self._home = home
        self._changed = threading.Condition()
        self._instance: Served | None = None
        self._held = 0
        """Requests that are not answered yet."""
        self._server = HttpServer(_door(self), f"on-demand-{subject.name}")

    @property
    def url(self) -> str:
        """Where it listens, with an instance or without."""
        return self._server.base

    def answer(self, event: Event) -> int:
        """What the instance answers; one is started where there is none."""
        with self._changed:
            self._held += 1
            if self._instance is None:
                self.started += 1
                home = self._home / str(self.started)
                self._instance = Served(self._subject.name, self._subject.folder, self._environment, home)
            instance = self._instance
        try:
            return instance.answer(event)
        finally:
            with self._changed:
                self._held -= 1
                self._changed.notify_all()

    def scale_to_zero(self) -> None:
        """End the instance, once everything is answered: what is not acknowledged would come again in the midst of something else."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._held, _PATIENCE_SECONDS):
                raise BenchError(f"{self._subject.name} does not answer. It printed:\n{self.said()}")
            instance, self._instance = self._instance, None
        if instance is not None:
            instance.stop()

    def said(self) -> str:
        """The end of what the instance printed."""
        return self._instance.said() if self._instance else "nothing: no instance was started"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        if self._instance is not None:
            self._instance.stop()


def _door(front: OnDemand) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status = front.answer(Event(self.path, body, "a push"))
            except (BenchError, OSError):
                status = 503  # as Cloud Run answers for an instance that does not start
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """What matters the function prints."""

    return Door
