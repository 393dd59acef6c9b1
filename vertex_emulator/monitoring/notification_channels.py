"""``google.monitoring.v3.NotificationChannelService``: where notifications go."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import grpc

from vertex_emulator.errors import ApiError
from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.filter import parse
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.rpc import (
    Method,
    apply_mask,
    invalid_field,
    not_found,
    page,
    project_of,
)
from vertex_emulator.monitoring.series import SeriesStore
from vertex_emulator.monitoring.wire import set_time

LABELS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "pubsub": (frozenset({"topic"}), frozenset()),
    "webhook_tokenauth": (frozenset({"url"}), frozenset()),
    "webhook_basicauth": (frozenset({"url", "username"}), frozenset({"password"})),
    "email": (frozenset({"email_address"}), frozenset()),
}
"""Channel types with their required and their sensitive labels; e-mail is accepted and goes nowhere."""


class NotificationChannelService:
    """The methods of the service; also tells an alert policy what its channels are."""

    name = "google.monitoring.v3.NotificationChannelService"

    def __init__(self, store: SeriesStore, in_use: Callable[[str], bool]) -> None:
        self._store = store
        self._in_use = in_use
        self._lock = threading.Lock()
        self._channels: dict[str, Message] = {}

    def methods(self) -> Mapping[str, Method]:
        """The method table."""
        channel, empty = protos.NotificationChannel, protos.Empty
        descriptor = protos.NotificationChannelDescriptor
        return {
            "CreateNotificationChannel": Method(protos.CreateNotificationChannelRequest, channel, self.create),
            "GetNotificationChannel": Method(protos.GetNotificationChannelRequest, channel, self.get),
            "ListNotificationChannels": Method(
                protos.ListNotificationChannelsRequest, protos.ListNotificationChannelsResponse, self.list
            ),
            "UpdateNotificationChannel": Method(protos.UpdateNotificationChannelRequest, channel, self.update),
            "DeleteNotificationChannel": Method(protos.DeleteNotificationChannelRequest, empty, self.delete),
            "GetNotificationChannelDescriptor": Method(
                protos.GetNotificationChannelDescriptorRequest, descriptor, self.get_descriptor
            ),
            "ListNotificationChannelDescriptors": Method(
                protos.ListNotificationChannelDescriptorsRequest,
                protos.ListNotificationChannelDescriptorsResponse,
                self.list_descriptors,
            ),
        }

    def find(self, name: str) -> Message | None:
        """The channel with everything it holds, passwords too; ``None`` where there is none."""
        with self._lock:
            found = self._channels.get(name)
            return _copy(found) if found is not None else None

    def create(self, request: Message) -> Message:
        """Create a channel under a name that the server chooses."""
        project = project_of(request.name)
        channel = _copy(request.notification_channel)
        _check(channel)
        channel.name = f"projects/{project}/notificationChannels/{secrets.randbelow(10**19):019d}"
        if not channel.HasField("enabled"):
            channel.enabled.value = True
        channel.ClearField("verification_status")
        set_time(channel.creation_record.mutate_time, self._store.now())
        with self._lock:
            self._channels[channel.name] = channel
            return _shown(channel)

    def get(self, request: Message) -> Message:
        """One channel, its secrets obfuscated."""
        with self._lock:
            return _shown(self._existing(request.name))

    def list(self, request: Message) -> Message:
        """The channels of a project that match a filter on ``type``, ``display_name``, labels or user labels."""
        prefix = f"projects/{project_of(request.name)}/"
        expression = parse(request.filter) if request.filter else None
        with self._lock:
            found = [
                _shown(channel)
                for name, channel in self._channels.items()
                if name.startswith(prefix) and (expression is None or expression.matches(_fields(channel)))
            ]
        items, token = page(found, request.page_size, request.page_token)
        return protos.ListNotificationChannelsResponse(
            notification_channels=items, next_page_token=token, total_size=len(found)
        )

    def update(self, request: Message) -> Message:
        """Replace a channel, or the fields in the mask."""
        given = request.notification_channel
        with self._lock:
            present = self._existing(given.name)
            changed = _copy(present)
            paths = list(request.update_mask.paths)
            apply_mask(changed, given, paths or ["display_name", "description", "labels", "user_labels", "enabled"])
            if changed.type_ != present.type_:
                raise invalid_field("notificationChannel.type", given.type_, "The type of a channel cannot be changed.")
            _check(changed)
            set_time(changed.mutation_records.add().mutate_time, self._store.now())
            self._channels[given.name] = changed
            return _shown(changed)

    def delete(self, request: Message) -> Message:
        """Delete a channel; refused while a policy uses it, unless forced."""
        if not request.force and self._in_use(request.name):
            raise ApiError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"Cannot delete {request.name}: an alerting policy refers to it. Remove it there or set force.",
            )
        with self._lock:
            self._existing(request.name)
            del self._channels[request.name]
        return protos.Empty()

    def get_descriptor(self, request: Message) -> Message:
        """What a channel of one type needs."""
        project, type_ = project_of(request.name), request.name.rsplit("/", 1)[-1]
        if type_ not in LABELS:
            raise not_found(f"Notification channel descriptor {request.name} not found.")
        return _descriptor(project, type_)

    def list_descriptors(self, request: Message) -> Message:
        """What channels of every type need."""
        project = project_of(request.name)
        return protos.ListNotificationChannelDescriptorsResponse(
            channel_descriptors=[_descriptor(project, type_) for type_ in sorted(LABELS)]
        )

    def _existing(self, name: str) -> Message:
        found = self._channels.get(name)
        if found is None:
            raise not_found(f"Notification channel {name} not found.")
        return found


def _copy(channel: Message) -> Message:
    copied = protos.NotificationChannel()
    copied.CopyFrom(channel)
    return copied


def _shown(channel: Message) -> Message:
    """What a client sees: sensitive labels are only partially populated on retrieval."""
    shown = _copy(channel)
    for key in LABELS[channel.type_][1]:
        if key in shown.labels:
            shown.labels[key] = "*" * len(shown.labels[key])
    return shown


def _check(channel: Message) -> None:
    if channel.type_ not in LABELS:
        why = f"Unknown channel type; this local server knows {', '.join(sorted(LABELS))}."
        raise invalid_field("notificationChannel.type", channel.type_, why)
    required, sensitive = LABELS[channel.type_]
    missing = sorted(required - set(channel.labels))
    if missing:
        raise invalid_field(f"notificationChannel.labels['{missing[0]}']", "", "The label is required.")
    unknown = sorted(set(channel.labels) - required - sensitive)
    if unknown:
        raise invalid_field("notificationChannel.labels", unknown[0], "Unknown label for this channel type.")
    topic = channel.labels["topic"] if channel.type_ == "pubsub" else ""
    if channel.type_ == "pubsub" and topic.split("/")[::2] != ["projects", "topics"]:
        raise invalid_field("notificationChannel.labels['topic']", topic, "Expected projects/[PROJECT]/topics/[TOPIC].")
    if channel.type_.startswith("webhook") and urlsplit(channel.labels["url"]).scheme not in ("http", "https"):
        raise invalid_field("notificationChannel.labels['url']", channel.labels["url"], "Expected an http(s) URL.")


def _fields(channel: Message) -> Callable[[str], str]:
    def resolve(selector: str) -> str:
        owner, _, key = selector.partition(".")
        if owner in ("labels", "user_labels") and key:
            return str(dict(getattr(channel, owner)).get(key, ""))
        if owner == "type":
            return str(channel.type_)
        return str(getattr(channel, owner)) if owner in ("display_name", "name", "description") else ""

    return resolve


def _descriptor(project: str, type_: str) -> Message:
    required, sensitive = LABELS[type_]
    return protos.NotificationChannelDescriptor(
        name=f"projects/{project}/notificationChannelDescriptors/{type_}",
        type_=type_,
        labels=[protos.LabelDescriptor(key=key) for key in sorted(required | sensitive)],
    )
