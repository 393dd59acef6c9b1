"""StreamingPull: what ``SubscriberClient.subscribe`` uses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
from google.pubsub_v1 import types

from local.pubsub.backlog import Lease
from local.pubsub.errors import StatusError, invalid
from local.pubsub.state import Broker

_LOOK_SECONDS = 1.0
"""How long a stream rests at most before it looks whether its client is still there."""

_BATCH = 100
_UNLIMITED = 1_000_000


class StreamingPull:
    """The bidirectional stream: acknowledgements come in, messages go out."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def serve(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Hand out messages until the client leaves, within the number it will hold at once."""
        first = next(requests, None)
        if first is None or not first.subscription:
            raise invalid("The first request of a stream must name the subscription.")
        name = first.subscription
        counted = self._broker.subscription(name).HasField("dead_letter_policy")
        limit = first.max_outstanding_messages if first.max_outstanding_messages > 0 else _UNLIMITED
        context.add_callback(self._wake)
        threading.Thread(target=self._read, args=(name, requests), name="pubsub-stream", daemon=True).start()
        held: set[str] = set()
        while context.is_active():
            with self._broker.changed:
                held = {ack_id for ack_id in held if self._broker.holds(name, ack_id)}
                leases = self._broker.take(name, min(_BATCH, limit - len(held)), first.stream_ack_deadline_seconds)
                if not leases:
                    due = self._broker.seconds_to_next(name) if len(held) < limit else None
                    self._broker.changed.wait(_LOOK_SECONDS if due is None else min(due, _LOOK_SECONDS))
                    continue
            held.update(lease.ack_id for lease in leases)
            messages = [received(lease, counted=counted) for lease in leases]
            yield types.StreamingPullResponse.pb()(received_messages=messages)

    def _read(self, name: str, requests: Iterator[Any]) -> None:
        """Take the client's acknowledgements until it leaves; the end of a stream is not worth an error."""
        try:
            for request in requests:
                self._broker.acknowledge(name, request.ack_ids)
                pairs = zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True)
                for ack_id, seconds in pairs:
                    modify(self._broker, name, [ack_id], seconds)
        except (grpc.RpcError, StatusError):
            return

    def _wake(self) -> None:
        with self._broker.changed:
            self._broker.changed.notify_all()


def received(lease: Lease, *, counted: bool) -> Any:
    """A message as a puller gets it; attempts are counted only where there is a dead-letter policy."""
    return types.ReceivedMessage.pb()(
        ack_id=lease.ack_id,
        message=lease.pending.message.to_pb(),
        delivery_attempt=lease.pending.attempts if counted else 0,
    )


def modify(broker: Broker, subscription: str, ack_ids: list[str], seconds: int) -> None:
    """Move the deadline of leases; zero seconds give them back."""
    if not 0 <= seconds <= 600:
        raise invalid(f"ack_deadline_seconds is {seconds}; it must be between 0 and 600.")
    if seconds:
        broker.extend(subscription, ack_ids, seconds)
    else:
        broker.refuse(subscription, ack_ids)
