"""Long-running operations: they end when compressed time has passed their duration, and only then show their effect.

What an operation does is made from values that can be written down (``Maker``), when it begins and when it is loaded from a file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from vertex_emulator.errors import ApiError, missing, precondition
from vertex_emulator.filters import compile_filter, page
from vertex_emulator.messages import Document, Message, dumped, loaded, timestamp

if TYPE_CHECKING:
    from vertex_emulator.filters import Fields
    from vertex_emulator.logs import Logs
    from vertex_emulator.state import State

logger = logging.getLogger(__name__)
_RETRY = timedelta(seconds=1)
_WAIT = 0.01


@dataclass
class Work:
    """What an operation does at its end."""

    finish: Callable[[datetime], Message]
    """Applies the effect and returns the response."""
    is_ready: Callable[[], bool] = lambda: True
    """Asked once the time is over; raises ``ApiError`` when it never will be."""
    abandon: Callable[[], None] = lambda: None
    """Takes back what was prepared, when the operation fails or is cancelled."""
    describe: Callable[[Message, float], None] | None = None
    """Completes the metadata for a progress from 0 to 1; -1 after a failure."""


Decided = Mapping[str, str | Message]
"""What was decided when an operation began, beyond its request: ids that were drawn, versions that were meant."""
Maker = Callable[[str, Message, Decided], Work]
"""Prepares what an operation does from its resource, its request and what was decided; called again when it is loaded."""


@dataclass
class _Record:
    message: Any
    metadata: Message
    method: str
    resource: str
    request: Message
    decided: Decided
    work: Work
    begun: datetime
    due: datetime
    planned_error: ApiError | None


class Operations:
    """The operations of all services; also serves ``google.longrunning.Operations``."""

    def __init__(self, state: State, logs: Logs) -> None:
        self._state = state
        self._logs = logs
        self._records: dict[str, _Record] = {}
        self._makers: dict[str, Maker] = {}

    def make(self, method: str, maker: Maker) -> None:
        """Say what the operations of a method do."""
        self._makers[method] = maker

    def begin(
        self,
        method: str,
        resource: str,
        request: Message,
        metadata: Message,
        duration: float,
        decided: Decided = MappingProxyType({}),
        at: datetime | None = None,
    ) -> Any:
        """Start an operation on a resource, and return it as it stands now.

        It is named like ``projects/N/locations/L/models/ID/operations/OP``, as the service does.
        """
        begun = at or self._state.clock()
        name = f"{resource}/operations/{self._state.new_id()}"
        metadata.generic_metadata.create_time.CopyFrom(timestamp(begun))
        due = begun + timedelta(seconds=self._state.faults.duration(method, duration, resource))
        record = _Record(
            message=operations_pb2.Operation(name=name),
            metadata=metadata,
            method=method,
            resource=resource,
            request=request,
            decided=decided,
            work=self._makers[method](resource, request, decided),
            begun=begun,
            due=due,
            planned_error=self._state.faults.operation_error(method, resource),
        )
        self._records[name] = record
        self._refresh(record)
        self._logs.audit(method, resource, request, operation={"id": name, "first": True})
        self._state.timeline.plan(due, lambda moment: self._end(record, moment))
        return record.message

    def dump(self) -> list[Document]:
        """Return all operations as JSON has them."""
        for record in self._records.values():
            self._refresh(record)
        return [_dumped(record) for record in self._records.values()]

    def load(self, documents: Iterable[Document], shift: timedelta) -> None:
        """Take over operations that were dumped; those under way go on, with as much time left as they had."""
        for document in documents:
            record = _loaded(document, shift)
            self._records[record.message.name] = record
            if record.message.done:
                continue
            try:
                record.work = self._makers[record.method](record.resource, record.request, record.decided)
            except ApiError as error:  # what it needs was deleted after it had begun
                record.planned_error = error
            self._state.timeline.plan(record.due, lambda moment, record=record: self._end(record, moment))  # type: ignore[misc]

    def clear(self) -> None:
        """Forget all operations, and take back what those under way had prepared."""
        for record in self._records.values():
            if not record.message.done:
                record.work.abandon()
        self._records.clear()

    def GetOperation(self, request: Any) -> Any:
        """Return one operation."""
        record = self._find(request.name)
        self._refresh(record)
        return record.message

    def ListOperations(self, request: Any) -> Any:
        """List the operations of a resource, or of everything below a location."""
        prefix = self._state.projects.canonical(request.name).removesuffix("/operations") + "/"
        matches = compile_filter(request.filter, ("done", "name"))
        found = [
            record
            for name, record in self._records.items()
            if name.startswith(prefix) and matches(_fields(record.message))
        ]
        for record in found:
            self._refresh(record)
        shown, token = page(found, request.page_size, request.page_token)
        return operations_pb2.ListOperationsResponse(
            operations=[record.message for record in shown], next_page_token=token
        )

    def WaitOperation(self, request: Any) -> Any:
        """Wait, on the wall clock, until an operation is done or the request's time-out is over."""
        seconds = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else 10.0
        deadline = time.monotonic() + seconds
        while True:
            with self._state.lock:
                self._state.settle()
                message = operations_pb2.Operation()
                message.CopyFrom(self.GetOperation(request))
            if message.done or time.monotonic() >= deadline:
                return message
            time.sleep(_WAIT)

    def CancelOperation(self, request: Any) -> Any:
        """Cancel an operation that is not done; its effect never shows."""
        record = self._find(request.name)
        if not record.message.done:
            self._fail(record, ApiError(grpc.StatusCode.CANCELLED, "The operation was cancelled."), self._state.clock())
        return empty_pb2.Empty()

    def DeleteOperation(self, request: Any) -> Any:
        """Forget an operation that is done."""
        record = self._find(request.name)
        if not record.message.done:
            precondition(f"Operation {request.name} is not done; cancel it first.")
        del self._records[record.message.name]
        return empty_pb2.Empty()

    def _find(self, name: str) -> _Record:
        record = self._records.get(self._state.projects.canonical(name))
        if record is None:
            missing(f"Operation {name}")
        return record

    def _refresh(self, record: _Record) -> None:
        """Put the metadata of this moment into the message."""
        now = self._state.clock()
        if not record.message.done:
            record.metadata.generic_metadata.update_time.CopyFrom(timestamp(now))
            if record.work.describe is not None:
                whole = (record.due - record.begun).total_seconds()
                done = (now - record.begun).total_seconds()
                record.work.describe(record.metadata, min(done / whole, 0.99) if whole else 0.99)
            record.message.metadata.Pack(record.metadata)

    def _end(self, record: _Record, moment: datetime) -> None:
        if record.message.done:
            return
        try:
            if record.planned_error is not None:
                raise record.planned_error
            if not record.work.is_ready():
                again = max(moment, self._state.clock()) + _RETRY
                self._state.timeline.plan(again, lambda later: self._end(record, later))
                return
            response = record.work.finish(moment)
        except ApiError as error:
            self._fail(record, error, moment)
            return
        except Exception as error:
            logger.exception("Operation %s failed", record.message.name)
            self._fail(record, ApiError(grpc.StatusCode.INTERNAL, f"Emulator error: {error!r}"), moment)
            return
        record.message.response.Pack(response)
        self._close(record, 1.0, moment)
        operation = {"id": record.message.name, "last": True}
        resource = getattr(response, "model", "") or getattr(response, "name", "") or record.resource
        resource = resource if isinstance(resource, str) else record.resource
        self._logs.audit(record.method, resource, record.request, response=response, operation=operation)

    def _fail(self, record: _Record, error: ApiError, moment: datetime) -> None:
        record.message.error.code = error.number
        record.message.error.message = error.message
        record.work.abandon()
        self._close(record, -1.0, moment)
        operation = {"id": record.message.name, "last": True}
        self._logs.audit(record.method, record.resource, record.request, operation=operation, error=error)

    def _close(self, record: _Record, progress: float, moment: datetime) -> None:
        record.metadata.generic_metadata.update_time.CopyFrom(timestamp(moment))
        if record.work.describe is not None:
            record.work.describe(record.metadata, progress)
        record.message.metadata.Pack(record.metadata)
        record.message.done = True


def _finished(_: datetime) -> Message:
    return empty_pb2.Empty()


def _dumped(record: _Record) -> Document:
    decided = {key: value if isinstance(value, str) else dumped(value) for key, value in record.decided.items()}
    error = record.planned_error
    return {
        "operation": dumped(record.message),
        "metadata": dumped(record.metadata),
        "method": record.method,
        "resource": record.resource,
        "request": dumped(record.request),
        "decided": decided,
        "begun": record.begun.isoformat(),
        "due": record.due.isoformat(),
        "planned_error": [error.code.name, error.message] if error else None,
    }


def _loaded(document: Document, shift: timedelta) -> _Record:
    error = document["planned_error"]
    decided = {k: value if isinstance(value, str) else loaded(value) for k, value in document["decided"].items()}
    return _Record(
        message=loaded(document["operation"]),
        metadata=loaded(document["metadata"]),
        method=document["method"],
        resource=document["resource"],
        request=loaded(document["request"]),
        decided=decided,
        work=Work(_finished),
        begun=datetime.fromisoformat(document["begun"]) + shift,
        due=datetime.fromisoformat(document["due"]) + shift,
        planned_error=ApiError(grpc.StatusCode[error[0]], error[1]) if error else None,
    )


def _fields(message: Any) -> Fields:
    return lambda field: message.done if field == "done" else str(message.name)
