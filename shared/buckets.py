"""Objects in buckets of Cloud Storage, read and written conditionally: the only place that knows its JSON API.

Plain REST, since the client library takes longer to import than a rollback may last; nothing here is imported where no bucket is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import quote

from shared.channels import cloud_storage
from shared.errors import BusyError, ConflictError, NotFoundError, RefusedError, TransientError

SECONDS = 20.0
_PAGE = 1000
_BOUNDARY = "vr-part-7f1c5a20"


@dataclass(frozen=True)
class Object:
    """What is known of one object without its content."""

    bucket: str
    name: str
    generation: int
    """Another one after every write: what a conditional write names."""
    size: int = 0
    crc32c: str = ""
    """Base64, as Cloud Storage counts it."""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Buckets(Protocol):
    """Where objects are kept."""

    def look(self, bucket: str, name: str) -> Object | None:
        """What is known of an object; None where there is none."""
        ...

    def list(self, bucket: str, prefix: str) -> Iterator[Object]:
        """Every object whose name begins so."""
        ...

    def read(self, bucket: str, name: str) -> bytes:
        """Its content; NotFoundError where there is none."""
        ...

    def write(
        self, bucket: str, name: str, content: bytes, kind: str, generation: int, metadata: Mapping[str, str]
    ) -> Object:
        """Content and metadata in one, if the object still has that generation (0: is not there yet); ConflictError otherwise."""
        ...

    def delete(self, found: Object) -> None:
        """Delete exactly that generation; one that is gone already is no error."""
        ...

    def copy(self, source: Object, bucket: str, name: str) -> Object:
        """A copy of exactly that generation, made by Cloud Storage itself."""
        ...


class RestBuckets:
    """Cloud Storage's JSON API."""

    def look(self, bucket: str, name: str) -> Object | None:
        try:
            return _object(self._ask("GET", f"reading gs://{bucket}/{name}", _path(bucket, name)).json())
        except NotFoundError:
            return None

    def list(self, bucket: str, prefix: str) -> Iterator[Object]:
        page: dict[str, Any] = {"nextPageToken": ""}
        while "nextPageToken" in page:
            query = {"prefix": prefix, "maxResults": str(_PAGE), "pageToken": page["nextPageToken"]}
            page = self._ask("GET", f"listing gs://{bucket}/{prefix}", f"/storage/v1/b/{bucket}/o", params=query).json()
            yield from map(_object, page.get("items", ()))

    def read(self, bucket: str, name: str) -> bytes:
        answer = self._ask("GET", f"reading gs://{bucket}/{name}", _path(bucket, name), params={"alt": "media"})
        return bytes(answer.content)

    def write(
        self, bucket: str, name: str, content: bytes, kind: str, generation: int, metadata: Mapping[str, str]
    ) -> Object:
        about = json.dumps({"name": name, "contentType": kind, "cacheControl": "no-store", "metadata": dict(metadata)})
        parts = [
            f"--{_BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{about}\r\n".encode(),
            f"--{_BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n",
            f"--{_BOUNDARY}--".encode(),
        ]
        answer = self._ask(
            "POST",
            f"writing gs://{bucket}/{name}",
            f"/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "multipart", "ifGenerationMatch": str(generation)},
            data=b"".join(parts),
            headers={"Content-Type": f"multipart/related; boundary={_BOUNDARY}"},
        )
        return _object(answer.json())

    def delete(self, found: Object) -> None:
        query = {"ifGenerationMatch": str(found.generation)}
        what = f"deleting gs://{found.bucket}/{found.name}"
        with suppress(NotFoundError):
            self._ask("DELETE", what, _path(found.bucket, found.name), params=query)

    def copy(self, source: Object, bucket: str, name: str) -> Object:
        path = f"{_path(source.bucket, source.name)}/rewriteTo/b/{bucket}/o/{quote(name, safe='')}"
        query = {"sourceGeneration": str(source.generation)}
        what = f"copying gs://{source.bucket}/{source.name} to gs://{bucket}/{name}"
        while True:
            answer = self._ask("POST", what, path, params=query).json()
            if answer.get("done"):
                return _object(answer["resource"])
            query["rewriteToken"] = answer["rewriteToken"]

    def _ask(self, method: str, what: str, path: str, **options: Any) -> Any:
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            address, session = self._service
            answer = session.request(method, f"{address}{path}", timeout=SECONDS, **options)
        except (RequestException, GoogleAuthError) as exc:
            raise TransientError(f"{what}: {exc}") from exc
        if answer.ok:
            return answer
        raise _error(answer.status_code)(f"{what}: {_reason(answer.text)} ({answer.status_code})")

    @cached_property
    def _service(self) -> tuple[str, Any]:
        return cloud_storage()


def _path(bucket: str, name: str) -> str:
    return f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"


def _error(status: int) -> type[Exception]:
    known: dict[int, type[Exception]] = {
        404: NotFoundError,
        408: TransientError,
        412: ConflictError,
        401: TransientError,
        429: BusyError,
    }
    return known.get(status, TransientError if status >= 500 else RefusedError)


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200] or "no reason given"


def _object(found: Mapping[str, Any]) -> Object:
    return Object(
        found["bucket"],
        found["name"],
        int(found["generation"]),
        int(found.get("size", 0)),
        found.get("crc32c", ""),
        found.get("metadata", {}),
    )
