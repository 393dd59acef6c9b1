"""A local Cloud Storage: the JSON API of objects, over a folder in which ``gs://bucket/path`` is ``bucket/path``.

What the functions use of it, as Google documents it: insert (media and multipart), get, list with a prefix, rewrite, delete, each with
``ifGenerationMatch``. A generation grows with every write; a file that was put into the folder by hand has its time as generation.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from local.http_server import HttpServer

_OBJECT = re.compile(r"/storage/v1/b/([^/]+)/o(?:/([^/]+))?(?:/rewriteTo/b/([^/]+)/o/([^/]+))?")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")


@dataclass
class _About:
    generation: int
    kind: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)


class StorageError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Storage(HttpServer):
    """A context manager; buckets are folders and need not be made."""

    def __init__(self, root: Path) -> None:
        super().__init__(_handler(self), "storage")
        self._root = root
        self._about: dict[tuple[str, str], _About] = {}
        self._next = 1_700_000_000_000_000
        self._lock = threading.Lock()
        self.before: Callable[[str, str], None] = lambda method, name: None
        """Called before each request with its method (``insert``, ``get``, ``list``, ``rewrite``, ``delete``) and object; a ``StorageError`` of it is
        the answer."""
        self.after: Callable[[str, str], None] = lambda method, name: None
        """The same once it was carried out."""
        self.written: list[tuple[str, str]] = []
        """Every write that was carried out: method and ``bucket/name``, in order."""

    @property
    def url(self) -> str:
        """For ``STORAGE_EMULATOR_HOST``."""
        return self.base

    def text(self, bucket: str, name: str) -> str:
        """An object's content."""
        return self._path(bucket, name).read_text(encoding="utf-8")

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        """The objects of a bucket, in order."""
        root = self._root / bucket
        found = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        return sorted(name for name in found if name.startswith(prefix))

    def insert(self, bucket: str, name: str, content: bytes, about: Mapping[str, Any], match: str | None) -> Any:
        with self._lock:
            self._check(bucket, name, match)
            path = self._path(bucket, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self._next += 1
            kind = about.get("contentType", "application/octet-stream")
            self._about[bucket, name] = _About(self._next, kind, dict(about.get("metadata") or {}))
            self.written.append(("insert", f"{bucket}/{name}"))
            return self._resource(bucket, name)

    def get(self, bucket: str, name: str) -> Any:
        with self._lock:
            return self._resource(bucket, name)

    def content(self, bucket: str, name: str) -> bytes:
        with self._lock:
            self._resource(bucket, name)
            return self._path(bucket, name).read_bytes()

    def list(self, bucket: str, prefix: str, most: int, token: str) -> Any:
        with self._lock:
            names = [name for name in self.names(bucket, prefix) if name > token]
            page: dict[str, Any] = {"kind": "storage#objects"}
            if names:
                page["items"] = [self._resource(bucket, name) for name in names[:most]]
            if len(names) > most:
                page["nextPageToken"] = names[most - 1]
            return page

    def rewrite(self, source: tuple[str, str], to: tuple[str, str], generation: str | None, match: str | None) -> Any:
        with self._lock:
            self._check(*source, generation, "sourceGeneration")
            about, content = self._resource(*source), self._path(*source).read_bytes()
        done = self.insert(*to, content, about, match)
        size = str(len(content))
        return {
            "kind": "storage#rewriteResponse",
            "done": True,
            "objectSize": size,
            "totalBytesRewritten": size,
            "resource": done,
        }

    def delete(self, bucket: str, name: str, match: str | None) -> None:
        with self._lock:
            self._resource(bucket, name)
            self._check(bucket, name, match)
            self._path(bucket, name).unlink()
            self._about.pop((bucket, name), None)
            self.written.append(("delete", f"{bucket}/{name}"))

    def _path(self, bucket: str, name: str) -> Path:
        path = (self._root / bucket / name).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise StorageError(400, f"{name} is no object's name here")
        return path

    def _resource(self, bucket: str, name: str) -> Any:
        path = self._path(bucket, name)
        if not path.is_file():
            raise StorageError(404, f"No such object: {bucket}/{name}")
        about = self._about.get((bucket, name)) or _About(path.stat().st_mtime_ns // 1000)
        content = path.read_bytes()
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": name,
            "id": f"{bucket}/{name}/{about.generation}",
            "generation": str(about.generation),
            "metageneration": "1",
            "contentType": about.kind,
            "size": str(len(content)),
            "crc32c": base64.b64encode(crc32c(content).to_bytes(4, "big")).decode(),
            "metadata": dict(about.metadata),
            "mediaLink": f"{self.url}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media",
        }

    def _check(self, bucket: str, name: str, wanted: str | None, what: str = "ifGenerationMatch") -> None:
        if wanted is None:
            return
        try:
            present = self._resource(bucket, name)["generation"]
        except StorageError:
            present = "0"
        if wanted != present:
            raise StorageError(
                412, f"At least one of the pre-conditions you specified did not hold: {what} {wanted}, it has {present}"
            )


def crc32c(content: bytes) -> int:
    """Castagnoli's, as Cloud Storage counts it."""
    from google_crc32c import value

    return int(value(content))


def _handler(storage: Storage) -> type[BaseHTTPRequestHandler]:  # noqa: C901 (one method per verb)
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(self._get)

        def do_POST(self) -> None:
            self._answer(self._post)

        def do_DELETE(self) -> None:
            self._answer(self._delete)

        def _answer(self, act: Callable[[str, dict[str, str]], Any]) -> None:
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            try:
                found, status = act(parts.path, query), 200
            except StorageError as exc:
                found, status = {"error": {"code": exc.status, "message": exc.message}}, exc.status
            body, kind = found if isinstance(found, tuple) else (json.dumps(found).encode(), "application/json")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _get(self, path: str, query: dict[str, str]) -> Any:
            bucket, name = _named(path.removeprefix("/download"))[:2]
            if not name:
                storage.before("list", query.get("prefix", ""))
                most = int(query.get("maxResults") or 1000)
                return storage.list(bucket, query.get("prefix", ""), most, query.get("pageToken", ""))
            storage.before("get", name)
            about = storage.get(bucket, name)
            return (storage.content(bucket, name), about["contentType"]) if query.get("alt") == "media" else about

        def _post(self, path: str, query: dict[str, str]) -> Any:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            match = query.get("ifGenerationMatch")
            upload = _UPLOAD.fullmatch(path)
            if upload:
                about, content = _parts(self.headers["Content-Type"], body, query)
                storage.before("insert", about["name"])
                done = storage.insert(upload[1], about["name"], content, about, match)
                storage.after("insert", about["name"])
                return done
            bucket, name, to_bucket, to_name = _named(path)
            if not to_name:
                raise StorageError(404, f"{path} is not served here")
            storage.before("rewrite", to_name)
            done = storage.rewrite((bucket, name), (to_bucket, to_name), query.get("sourceGeneration"), match)
            storage.after("rewrite", to_name)
            return done

        def _delete(self, path: str, query: dict[str, str]) -> Any:
            bucket, name = _named(path)[:2]
            storage.before("delete", name)
            storage.delete(bucket, name, query.get("ifGenerationMatch"))
            return {}

        def log_message(self, *_: object) -> None:
            """Nothing: what was written is kept."""

    return Handler


def _named(path: str) -> tuple[str, str, str, str]:
    found = _OBJECT.fullmatch(path)
    if not found:
        raise StorageError(404, f"{path} is not served here")
    bucket, name, to_bucket, to_name = (unquote(one or "") for one in found.groups())
    return bucket, name, to_bucket, to_name


def _parts(kind: str, body: bytes, query: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    """Metadata and content of an upload."""
    if query.get("uploadType") != "multipart":
        return {"name": query.get("name", ""), "contentType": kind}, body
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    head, _, media = body.partition(boundary)[2].partition(boundary)
    about = json.loads(head.partition(b"\r\n\r\n")[2])
    headers, _, rest = media.partition(b"\r\n\r\n")
    # What the metadata say comes before what the part's own header says, as documented for multipart uploads.
    typed = message_from_bytes(headers.lstrip() + b"\r\n\r\n").get("Content-Type", "application/octet-stream")
    content = rest.rpartition(b"\r\n" + boundary + b"--")[0]
    return {"name": query.get("name", ""), "contentType": typed, **about}, content
