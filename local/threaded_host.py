"""All functions in one process, told apart by the first part of the path."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from local.function_loader import FunctionLoader

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class ThreadedHost:
    """All functions in this process, each under its name as first part of the path; a context manager.

    They share the process's environment, so the one setting that differs between functions in the cloud, the name of the
    target, cannot be read from it here.
    """

    def __init__(self, functions: Mapping[str, Path], port: int = 0) -> None:
        self._loaded = FunctionLoader()
        try:
            self._apps = {name: self._loaded.app(name, directory) for name, directory in functions.items()}
            self._server = _Server("127.0.0.1", port, self._dispatch, _RequestHandler)
        except BaseException:
            self._loaded.forget()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="functions", daemon=True)

    def url(self, name: str) -> str:
        """The address of a function, without a slash at the end."""
        if name not in self._apps:
            raise KeyError(f"No function {name!r} is hosted here; there are {', '.join(self._apps) or 'none'}.")
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def start(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the server and its connections; what the functions' modules defined is forgotten."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_connections()
        self._server.server_close()
        self._loaded.forget()

    def _dispatch(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Hand the rest of the path to the function that its first part names."""
        name, _, rest = environ.get("PATH_INFO", "").lstrip("/").partition("/")
        app = self._apps.get(name)
        if app is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"No function {name!r} is hosted here; there are {', '.join(self._apps) or 'none'}.\n".encode()]
        environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}/{name}"
        environ["PATH_INFO"] = f"/{rest}"
        return app(environ, start_response)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadedWSGIServer):
    """A thread per connection, and a memory of the connections: one that is kept alive would outlive the server."""

    def __init__(self, host: str, port: int, app: WSGIApplication, handler: type[WSGIRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(host, port, app, handler)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection."""
        connection, client = super().get_request()
        self._open.add(connection)
        return connection, client

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """End every connection, so that its thread ends too."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _RequestHandler(WSGIRequestHandler):
    """Without a line per request; a small answer is sent at once instead of waiting 40 ms for more."""

    disable_nagle_algorithm = True

    def log_request(self, *_: Any) -> None:
        """The functions log what matters."""
