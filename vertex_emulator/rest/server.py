"""HTTP/1.1 with kept-alive connections, and TLS on the same port where there is a certificate."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from vertex_emulator.permissions import CALLER_HEADER, called_by
from vertex_emulator.rest.gateway import Gateway, Reply
from vertex_emulator.rest.transcode import Body

if TYPE_CHECKING:
    from vertex_emulator.administration import Administration
    from vertex_emulator.calls import Served
    from vertex_emulator.tls import Certificate

logger = logging.getLogger(__name__)
_TLS_HANDSHAKE = b"\x16"
"""The first byte of every TLS connection (RFC 8446, ContentType); no HTTP method begins with it."""
_IDLE = 300
"""Seconds after which a connection on which nothing happens is closed."""


class RestServer:
    """Serves methods over HTTP on 127.0.0.1."""

    def __init__(
        self,
        served: Mapping[str, Served],
        certificate: Certificate | None = None,
        administration: Administration | None = None,
    ) -> None:
        self._gateway = Gateway(served, administration)
        self._certificate = certificate
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int = 0) -> str:
        """Begin to serve, and return ``127.0.0.1:PORT``."""
        context = self._certificate.ssl_context() if self._certificate else None
        self._server = _Server(port, self._gateway, context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="rest", daemon=True)
        self._thread.start()
        return f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Stop serving, and close the connections that are kept alive."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server.close_connections()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, gateway: Gateway, context: ssl.SSLContext | None) -> None:
        self.gateway = gateway
        self.context = context
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, to close it at the end."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.discard(connection)

    def close_connections(self) -> None:
        """Close what is still open; the threads that read from it end."""
        with self._lock:
            remaining = list(self._open)
        for connection in remaining:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away, or does not trust the certificate, is no error of ours."""
        logger.debug("A connection from %s ended", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "vertex_emulator"
    timeout = _IDLE
    wbufsize = -1  # headers and body leave in one packet
    disable_nagle_algorithm = True

    def setup(self) -> None:
        context = self.server.context
        if context is not None and self.request.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        with contextlib.suppress(OSError):
            super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()  # wrapping has taken the socket away from the server, which would close it

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle_one_request()
            return
        self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET  # noqa: N815  (the names are the base class's)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name is the base class's)
        """Requests are logged by whoever counts calls, not to standard error."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        query = parse_qsl(url.query, keep_blank_values=True)
        data = self._read()
        verb = self.headers.get("X-HTTP-Method-Override", self.command).upper()
        if verb == "GET" and self.command == "POST":  # a query too long for a URL travels as a form
            query += parse_qsl(data.decode(errors="replace"), keep_blank_values=True)
        body = Body(data, self.headers.get("Content-Type", ""))
        with called_by(self.headers.get(CALLER_HEADER, ""), self.headers.get("User-Agent", "")):
            reply = self.server.gateway.serve(verb, url.path, query, body, self.headers.get("Host", ""))
        self._reply(reply)

    def _read(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self._read_chunks()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> bytes:
        data = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return data

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
