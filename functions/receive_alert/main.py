"""HTTPS webhook of Cloud Monitoring, and of others who sign: authenticate, normalise, publish to ``alert-fired``."""

from __future__ import annotations

import flask
import functions_framework
from flask.typing import ResponseReturnValue

from shared import runtime, topics
from shared.errors import PermanentError, TransientError
from shared.events.alert import alert_message, parse_alert
from shared.permissions import PUBLISH, SECRETS
from shared.senders import is_known_sender
from shared.wiring import world

PERMISSIONS = (PUBLISH, SECRETS)


@functions_framework.http
def receive_alert(request: flask.Request) -> ResponseReturnValue:
    """202 once it is published; Monitoring repeats on 5xx."""
    with runtime.request("receive_alert", request) as body:
        secret = world().environment.get("ALERT_TOKEN", "")
        if not is_known_sender(secret, request.args.get("auth_token"), dict(request.headers), body, world().now()):
            return "unknown sender\n", 401, {"WWW-Authenticate": 'Basic realm="alerts"'}
        if request.method != "POST":
            return "send alerts with POST\n", 405, {"Allow": "POST"}
        if len(body) > runtime.LARGEST_BODY:
            return f"an alert has at most {runtime.LARGEST_BODY} bytes\n", 413
        if not runtime.is_json(request):
            return "an alert is JSON: send it with Content-Type: application/json\n", 415
        try:
            try:
                world().publisher.publish(topics.ALERT_FIRED, alert_message(parse_alert(body)))
            except PermanentError as exc:
                runtime.keep_request(world(), "receive_alert", body, exc, topics.ALERT_FIRED)
                return f"{exc}\n", 400
        except TransientError as exc:
            return f"{exc}\n", 503
        return "published\n", 202
