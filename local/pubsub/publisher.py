"""google.pubsub.v1.Publisher: topics, and publishing to them."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from local.pubsub.errors import invalid
from local.pubsub.message import fault_of
from local.pubsub.rpc import page, service, unary
from local.pubsub.state import Broker

_MAX_MESSAGES = 1000
"""Per request (quotas page)."""


class Publisher:
    """The methods of the service, on a broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """What a gRPC server registers."""
        methods = {
            "CreateTopic": unary(self.create_topic, types.Topic.pb()),
            "GetTopic": unary(self.get_topic, types.GetTopicRequest.pb()),
            "ListTopics": unary(self.list_topics, types.ListTopicsRequest.pb()),
            "ListTopicSubscriptions": unary(self.list_topic_subscriptions, types.ListTopicSubscriptionsRequest.pb()),
            "DeleteTopic": unary(self.delete_topic, types.DeleteTopicRequest.pb()),
            "Publish": unary(self.publish, types.PublishRequest.pb()),
        }
        return service("google.pubsub.v1.Publisher", methods)

    def create_topic(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Create a topic of this name."""
        return self._broker.add_topic(request)

    def get_topic(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """The topic's settings."""
        return self._broker.topic(request.topic)

    def list_topics(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """The topics of a project."""
        topics, following = page(self._broker.topics(request.project), request.page_size, request.page_token)
        return types.ListTopicsResponse.pb()(topics=topics, next_page_token=following)

    def list_topic_subscriptions(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """The names of a topic's subscriptions, whatever their project."""
        self._broker.topic(request.topic)
        names = [config.name for config in self._broker.subscriptions("projects") if config.topic == request.topic]
        names, following = page(names, request.page_size, request.page_token)
        return types.ListTopicSubscriptionsResponse.pb()(subscriptions=names, next_page_token=following)

    def delete_topic(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Delete a topic; its subscriptions stay."""
        self._broker.remove_topic(request.topic)
        return empty_pb2.Empty()

    def publish(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Publish a batch; a fault in one message refuses the whole."""
        if not 0 < len(request.messages) <= _MAX_MESSAGES:
            raise invalid(f"A request publishes 1 to {_MAX_MESSAGES} messages; this one has {len(request.messages)}.")
        for message in request.messages:
            fault = fault_of(message.data, message.attributes)
            if fault is not None:
                raise invalid(f"{request.topic}: {fault}")
        messages = [(message.data, dict(message.attributes), message.ordering_key) for message in request.messages]
        return types.PublishResponse.pb()(message_ids=self._broker.publish(request.topic, messages))
