"""The Functions Framework's own conversion of a push is what ``parse_message`` reads."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from flask import Flask, request
from functions_framework.event_conversion import background_event_to_cloud_event

from shared.events.message import Message, parse_message


def test_a_push_to_an_address_that_names_the_topic_arrives_whole() -> None:
    push = {
        "subscription": "projects/p/subscriptions/register-model",
        "message": {
            "data": base64.b64encode(b"{}").decode(),
            "attributes": {"correlation_id": "c-1"},
            "messageId": "77",
            "message_id": "77",
            "publishTime": "2026-11-20T10:02:31.25Z",
            "publish_time": "2026-11-20T10:02:31.25Z",
        },
    }
    with Flask(__name__).test_request_context("/projects/p/topics/training-completed", method="POST", json=push):
        event = background_event_to_cloud_event(request)
    assert parse_message(event.get_attributes(), event.get_data()) == Message(
        id="77",
        data=b"{}",
        attributes={"correlation_id": "c-1"},
        published_at=datetime(2026, 11, 20, 10, 2, 31, 250_000, tzinfo=UTC),
        topic="projects/p/topics/training-completed",
        delivery_attempt=None,
    )
