"""How the services of this package are served over gRPC, and how they refuse.

A service is a table of methods over raw protobuf messages. The handlers are generic: they can be mounted on any gRPC server,
beside other services or alone.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc

from vertex_emulator.errors import ApiError
from vertex_emulator.faults import Faults
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.permissions import PERMISSIONS, PermissionLog, called_by, caller_of

T = TypeVar("T")


def invalid_argument(message: str) -> ApiError:
    """INVALID_ARGUMENT: the request itself is wrong."""
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message)


def invalid_field(field: str, value: str, why: str) -> ApiError:
    """INVALID_ARGUMENT in the words that Cloud Monitoring uses for a single field."""
    return invalid_argument(f'Field {field} had an invalid value of "{value}": {why}')


def not_found(message: str) -> ApiError:
    """NOT_FOUND."""
    return ApiError(grpc.StatusCode.NOT_FOUND, message)


def unsupported(message: str) -> ApiError:
    """UNIMPLEMENTED: Google can, this local server cannot; saying so beats a silent difference."""
    return ApiError(grpc.StatusCode.UNIMPLEMENTED, message)


@dataclass(frozen=True)
class Method:
    """One unary method: what it takes, what it gives, who does it."""

    request: Message
    response: Message
    call: Callable[[Message], Message]


class CallLog:
    """Counts the calls by method, and lets happen to them what is planned.

    ``faults`` and ``permissions`` are replaced by those of whoever serves these services beside others.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.permissions = PermissionLog()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def counts(self) -> Counter[str]:
        """How often each method, e.g. ``MetricService/ListTimeSeries``, has been called."""
        with self._lock:
            return Counter(self._counts)

    def fail(self, method: str, code: grpc.StatusCode, times: int = 1, message: str = "Injected fault.") -> None:
        """Answer the next ``times`` calls of ``method`` with ``code`` instead of doing them."""
        self.faults.fail(method, code, times, message)

    def carry_out(self, service: str, name: str, method: Method, request: Message) -> Message:
        """Carry out a call, with the faults that are planned for it; raises ``ApiError`` when it is refused."""
        full, subject = f"{service}/{name}", _subject(request)
        with self._lock:
            self._counts[f"{service.rpartition('.')[2]}/{name}"] += 1
        if full in PERMISSIONS:
            self.permissions.note(full, subject)
        if (slowness := self.faults.slowness(full, subject)) > 0:
            time.sleep(slowness)
        if (refusal := self.faults.refusal(full, subject)) is not None:
            raise refusal
        answer = method.call(request)
        if (lost := self.faults.lost(full, subject)) is not None:
            raise lost
        return answer


def _subject(request: Message) -> str:
    """The name that a request is about: its own, or that of what it changes."""
    for field in ("name", "alert_policy", "notification_channel"):
        value = getattr(request, field, "")
        subject = value if isinstance(value, str) else value.name
        if subject:
            return str(subject)
    return ""


def generic_handler(
    service: str, methods: Mapping[str, Method], log: CallLog
) -> grpc.GenericRpcHandler[Message, Message]:
    """Serve ``methods`` as ``service``; whatever is not in the table answers UNIMPLEMENTED."""

    def handler(name: str, method: Method) -> grpc.RpcMethodHandler[Message, Message]:
        def behaviour(request: Message, context: grpc.ServicerContext) -> Message:
            try:
                with called_by(*caller_of(context.invocation_metadata())):
                    return log.carry_out(service, name, method, request)
            except ApiError as error:
                context.abort(error.code, error.message)

        return grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=method.request.FromString,
            response_serializer=method.response.SerializeToString,
        )

    return grpc.method_handlers_generic_handler(service, {name: handler(name, m) for name, m in methods.items()})


def encode_token(*parts: object) -> str:
    """An opaque page token."""
    return base64.urlsafe_b64encode("|".join(str(part) for part in parts).encode()).decode()


def decode_token(token: str, parts: int) -> list[str]:
    """The parts of a page token that this server gave out."""
    try:
        found = base64.urlsafe_b64decode(token.encode()).decode().split("|")
    except (binascii.Error, UnicodeDecodeError):
        found = []
    if len(found) != parts:
        raise invalid_field("pageToken", token, "The page token was not returned by a previous request.")
    return found


def page(items: Sequence[T], size: int, token: str, default: int = 1000) -> tuple[Sequence[T], str]:
    """One page of ``items`` and the token of the next, empty on the last."""
    if size < 0:
        raise invalid_field("pageSize", str(size), "The page size must not be negative.")
    offset = int(decode_token(token, 1)[0]) if token else 0
    end = offset + (size or default)
    return items[offset:end], encode_token(end) if end < len(items) else ""


def project_of(name: str) -> str:
    """The project id or number in a resource name."""
    parts = name.split("/")
    if len(parts) < 2 or parts[0] != "projects" or not parts[1]:
        raise invalid_field("name", name, "The name must begin with projects/[PROJECT_ID_OR_NUMBER].")
    return parts[1]


def apply_mask(target: Message, source: Message, paths: Sequence[str]) -> None:
    """Set every path of ``target`` to its value in ``source``, or clear it where ``source`` has none.

    Unlike ``FieldMask.MergeMessage`` a map or a list is replaced whole: merging would keep the keys that the caller removed.
    """
    for path in paths:
        head, _, rest = path.partition(".")
        field = target.DESCRIPTOR.fields_by_name.get(head)
        if field is None:
            raise invalid_field("update_mask", path, f"{target.DESCRIPTOR.name} has no field {head}.")
        if not rest:
            target.ClearField(head)
            if field.is_repeated:
                _replace_repeated(target, source, head)
            elif not field.has_presence or source.HasField(head):
                _copy_single(target, source, head, is_message=field.message_type is not None)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            _copy_key(getattr(target, head), getattr(source, head), rest)
        elif field.message_type is not None and not field.is_repeated:
            apply_mask(getattr(target, head), getattr(source, head), [rest])
        else:
            raise invalid_field("update_mask", path, f"{head} has no fields of its own.")


def _replace_repeated(target: Message, source: Message, field: str) -> None:
    getattr(target, field).MergeFrom(getattr(source, field))


def _copy_single(target: Message, source: Message, field: str, *, is_message: bool) -> None:
    if is_message:
        getattr(target, field).CopyFrom(getattr(source, field))
    else:
        setattr(target, field, getattr(source, field))


def _copy_key(target: Message, source: Message, key: str) -> None:
    if key in source:
        target[key] = source[key]
    else:
        target.pop(key, None)
