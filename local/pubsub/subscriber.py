"""google.pubsub.v1.Subscriber: subscriptions, and pulling from them."""

from __future__ import annotations

import time
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from local.pubsub.errors import invalid
from local.pubsub.rpc import page, service, streaming, unary
from local.pubsub.state import Broker
from local.pubsub.streaming_pull import StreamingPull, modify, received

_PULL_SECONDS = 0.5
"""How long a pull waits for a first message. The service waits longer, and promises nothing."""

_MUTABLE = frozenset(
    {
        "ack_deadline_seconds",
        "dead_letter_policy",
        "expiration_policy",
        "labels",
        "message_retention_duration",
        "push_config",
        "retry_policy",
    }
)


class Subscriber:
    """The methods of the service, on a broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """What a gRPC server registers."""
        methods = {
            "CreateSubscription": unary(self.create_subscription, types.Subscription.pb()),
            "GetSubscription": unary(self.get_subscription, types.GetSubscriptionRequest.pb()),
            "ListSubscriptions": unary(self.list_subscriptions, types.ListSubscriptionsRequest.pb()),
            "UpdateSubscription": unary(self.update_subscription, types.UpdateSubscriptionRequest.pb()),
            "ModifyPushConfig": unary(self.modify_push_config, types.ModifyPushConfigRequest.pb()),
            "DeleteSubscription": unary(self.delete_subscription, types.DeleteSubscriptionRequest.pb()),
            "Pull": unary(self.pull, types.PullRequest.pb()),
            "Acknowledge": unary(self.acknowledge, types.AcknowledgeRequest.pb()),
            "ModifyAckDeadline": unary(self.modify_ack_deadline, types.ModifyAckDeadlineRequest.pb()),
            "StreamingPull": streaming(StreamingPull(self._broker).serve, types.StreamingPullRequest.pb()),
        }
        return service("google.pubsub.v1.Subscriber", methods)

    def create_subscription(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Create a subscription to a topic that exists."""
        return self._broker.add_subscription(request)

    def get_subscription(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """The subscription's settings, defaults filled in."""
        return self._broker.subscription(request.subscription)

    def list_subscriptions(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """The subscriptions of a project."""
        found, following = page(self._broker.subscriptions(request.project), request.page_size, request.page_token)
        return types.ListSubscriptionsResponse.pb()(subscriptions=found, next_page_token=following)

    def update_subscription(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Replace the settings that the mask names; topic and filter cannot change."""
        paths = list(request.update_mask.paths)
        refused = [path for path in paths if path not in _MUTABLE]
        if refused or not paths:
            raise invalid(f"update_mask {paths}: name some of {', '.join(sorted(_MUTABLE))}, and nothing else.")
        config = self._broker.subscription(request.subscription.name)
        given = {descriptor.name: value for descriptor, value in request.subscription.ListFields()}
        for path in paths:
            config.ClearField(path)
        config.MergeFrom(type(config)(**{path: given[path] for path in paths if path in given}))
        return self._broker.replace_subscription(config)

    def modify_push_config(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Push somewhere else; an empty configuration makes it a pull subscription."""
        config = self._broker.subscription(request.subscription)
        config.push_config.CopyFrom(request.push_config)
        self._broker.replace_subscription(config)
        return empty_pb2.Empty()

    def delete_subscription(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Delete a subscription and what it has not delivered."""
        self._broker.remove_subscription(request.subscription)
        return empty_pb2.Empty()

    def pull(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Hand out what is due; wait a little for a first message unless told to return immediately."""
        if request.max_messages <= 0:
            raise invalid(f"max_messages is {request.max_messages}; it must be above 0.")
        until = time.monotonic() + (0.0 if request.return_immediately else _PULL_SECONDS)
        with self._broker.changed:
            leases = self._broker.take(request.subscription, request.max_messages)
            while not leases and (left := until - time.monotonic()) > 0 and context.is_active():
                due = self._broker.seconds_to_next(request.subscription)
                self._broker.changed.wait(left if due is None else min(left, due))
                leases = self._broker.take(request.subscription, request.max_messages)
        counted = self._broker.subscription(request.subscription).HasField("dead_letter_policy")
        messages = [received(lease, counted=counted) for lease in leases]
        return types.PullResponse.pb()(received_messages=messages)

    def acknowledge(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """The messages do not come again."""
        self._broker.acknowledge(request.subscription, request.ack_ids)
        return empty_pb2.Empty()

    def modify_ack_deadline(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Ask for more time, or, with zero, give the messages back."""
        modify(self._broker, request.subscription, list(request.ack_ids), request.ack_deadline_seconds)
        return empty_pb2.Empty()
