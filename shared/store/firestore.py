"""The store in the cloud: Firestore, through its own client.

No read-modify-write transactions: contended ones wait for each other in steps of seconds. Everything is a create-if-absent
or a write guarded by the time of the last update, alone or in an atomic batch. Only reads are retried, because a write whose
answer was lost may have happened. Google's emulator is used where ``FIRESTORE_EMULATOR_HOST`` says so; that is the client's doing.
"""

# ruff: noqa: A002 - a document's id is called id, as in both databases

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from shared.errors import PermanentError, TransientError
from shared.store import checks, indexes
from shared.store.documents import (
    Create,
    Delete,
    Document,
    ExistsError,
    Replace,
    RevisionError,
    Stored,
    Where,
    Write,
)
from shared.store.firestore_revision import Revision, plain

T = TypeVar("T")

_NO_DATABASE = ("does not exist for project", "Datastore Mode")
"""What production says when the database is missing, or of the other kind, under the codes that mean a lost race."""


class FirestoreDocuments:
    """Documents in a Firestore database in native mode.

    ``timeout`` is that of one call in seconds; reads are tried again for up to ``read_budget`` seconds.
    """

    def __init__(
        self, project: str | None = None, database: str | None = None, timeout: float = 5.0, read_budget: float = 15.0
    ) -> None:
        # Half a second of import, paid only where Firestore is used.
        from google.api_core import exceptions, retry
        from google.auth import exceptions as auth_exceptions
        from google.cloud import firestore

        self._google = exceptions
        self._auth = auth_exceptions
        self._firestore = firestore
        self._timeout = timeout
        retried = (
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.InternalServerError,
            exceptions.ResourceExhausted,
            exceptions.Aborted,
        )
        self._reads = retry.Retry(
            predicate=retry.if_exception_type(*retried), initial=0.1, maximum=2.0, multiplier=2.0, timeout=read_budget
        )
        # The client's own retries have no end when a stream breaks in the middle, so ours go around the whole read.
        self._once = retry.Retry(predicate=lambda _error: False)
        try:
            self._client = firestore.Client(project=project, database=database)
        except (auth_exceptions.GoogleAuthError, OSError) as error:
            raise PermanentError(f"no Firestore client: {error}; set GOOGLE_CLOUD_PROJECT and credentials") from error

    def get(self, collection: str, id: str) -> Stored | None:
        found = self.get_all(collection, [id])
        return found[0] if found else None

    def get_all(self, collection: str, ids: Sequence[str]) -> list[Stored]:
        for id_ in ids:
            checks.check_id(collection, id_)
        if not ids:
            return []
        wanted = list(dict.fromkeys(ids))
        references = [self._client.collection(collection).document(id_) for id_ in wanted]
        snapshots = self._read(
            f"reading {collection}",
            lambda: list(self._client.get_all(references, retry=self._once, timeout=self._timeout)),
        )
        found = {snapshot.id: _stored(snapshot) for snapshot in snapshots if snapshot.exists}
        return [found[id_] for id_ in wanted if id_ in found]

    def create(self, collection: str, id: str, body: Document, expires: datetime | None = None) -> str:
        return self.commit([Create(collection, id, body, expires)])[0]

    def replace(self, collection: str, id: str, body: Document, revision: str) -> str:
        return self.commit([Replace(collection, id, body, revision)])[0]

    def delete(self, collection: str, id: str, revision: str | None = None) -> None:
        self.commit([Delete(collection, id, revision)])

    def commit(self, writes: Sequence[Write]) -> list[str]:
        checks.check_writes(writes)
        if not writes:
            return []
        batch = self._client.batch()
        expiries = [self._add(batch, write) for write in writes]
        names = ", ".join(f"{write.collection}/{write.id}" for write in writes)
        with self._errors(f"writing {names}", writing=True):
            results = batch.commit(retry=self._once, timeout=self._timeout)
        return [
            "" if isinstance(write, Delete) else str(Revision.of(result.update_time, expires))
            for write, result, expires in zip(writes, results, expiries, strict=True)
        ]

    def query(
        self,
        collection: str,
        where: Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        after: Any = None,
    ) -> list[Stored]:
        where = where or {}
        checks.check_query(collection, where, order_by, descending, limit, after)
        indexes.check(collection, where, order_by)
        if () in where.values():
            return []
        query: Any = self._client.collection(collection)
        field_filter = self._firestore.FieldFilter
        for field, wanted in where.items():
            comparison = (
                field_filter(field, "in", list(wanted))
                if isinstance(wanted, tuple)
                else field_filter(field, "==", wanted)
            )
            query = query.where(filter=comparison)
        if order_by is not None:
            if after is not None:
                query = query.where(filter=field_filter(order_by, "<" if descending else ">", after))
            query = query.order_by(order_by, direction="DESCENDING" if descending else "ASCENDING")
        if limit is not None:
            query = query.limit(limit)
        snapshots = self._read(
            f"querying {collection}", lambda: list(query.stream(retry=self._once, timeout=self._timeout))
        )
        return [_stored(snapshot) for snapshot in snapshots]

    def close(self) -> None:
        # The client has no way of its own to close its channel. It makes the next one when it is asked for it.
        self._client._firestore_api.transport.close()
        self._client._firestore_api_internal = None

    def _add(self, batch: Any, write: Write) -> datetime | None:
        """Add a write to the batch; the expiry that the document then has."""
        reference = self._client.collection(write.collection).document(write.id)
        if isinstance(write, Create):
            expires = None if write.expires is None else write.expires.astimezone(UTC)
            batch.create(reference, _fields(write.body, expires))
            return expires
        if write.revision is None:
            batch.delete(reference)
            return None
        revision = Revision.parse(write.revision, f"{write.collection}/{write.id}")
        guard = self._client.write_option(last_update_time=revision.update_time())
        if isinstance(write, Delete):
            batch.delete(reference, option=guard)
            return None
        batch.set(reference, _fields(write.body, revision.expires))
        # A set takes no option, and an update would keep fields that the new body has not: the guard goes on by hand.
        guard.modify_write(batch._write_pbs[-1])
        return revision.expires

    def _read(self, what: str, call: Callable[[], T]) -> T:
        with self._errors(what):
            result: T = self._reads(call)()
            return result

    @contextmanager
    def _errors(self, what: str, writing: bool = False) -> Iterator[None]:
        """Google's errors in the project's words: what a later attempt may cure, and what only a person can."""
        google = self._google
        try:
            yield
        except google.AlreadyExists as error:
            raise ExistsError(f"{what}: a document to be created exists already; read it and decide again") from error
        except (google.NotFound, google.FailedPrecondition) as error:
            if not writing or any(sign in error.message for sign in _NO_DATABASE):
                raise PermanentError(f"{what}: {error.message}") from error
            raise RevisionError(f"{what}: changed or gone since it was read; read it and decide again") from error
        except (google.InvalidArgument, google.OutOfRange, google.MethodNotImplemented) as error:
            raise PermanentError(f"{what}: Firestore does not accept it: {error.message}") from error
        except (google.PermissionDenied, google.Unauthenticated) as error:
            raise PermanentError(f"{what}: {error.message}; grant this identity roles/datastore.user") from error
        except (google.GoogleAPIError, self._auth.GoogleAuthError) as error:
            raise TransientError(f"{what}: Firestore cannot be used now: {error}; try again") from error


def _fields(body: Document, expires: datetime | None) -> dict[str, Any]:
    return dict(body) if expires is None else {**body, checks.EXPIRES: expires}


def _stored(snapshot: Any) -> Stored:
    body = snapshot.to_dict()
    found = body.pop(checks.EXPIRES, None)
    expires = None if found is None else plain(found)
    return Stored(snapshot.id, str(Revision.of(snapshot.update_time, expires)), body, expires)
