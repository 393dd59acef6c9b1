"""HTTPS behind Identity-Aware Proxy: the page on which people see every rollout, and act."""

from __future__ import annotations

import flask
import functions_framework

from shared import runtime
from shared.actions.page import COOKIE, Answer, Asked, answer, problem
from shared.errors import TransientError
from shared.identity import ASSERTION, UnauthenticatedError
from shared.permissions import LIVE, PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = ("aiplatform.endpoints.get", "monitoring.timeSeries.list", *LIVE, *STORE, PUBLISH)


@functions_framework.http
def status_page(request: flask.Request) -> flask.Response:
    """HTML for whoever Identity-Aware Proxy let in; its assertion is verified here once more, since only that says who it is."""
    with runtime.request("status_page", request) as body:
        asked = read(request, "", is_whole=len(body) <= runtime.LARGEST_BODY)
        try:
            audience = world().environment.get("PAGE_AUDIENCE", "")
            actor = world().iap_keys.verified_person(request.headers.get(ASSERTION, ""), audience)
            asked = read(request, actor, is_whole=len(body) <= runtime.LARGEST_BODY)
            given = answer(world(), asked)
        except UnauthenticatedError as exc:
            given = problem(world(), asked, 401, "Who are you?", str(exc))
        except TransientError as exc:
            given = problem(world(), asked, 503, "Not now", str(exc))
        return respond(given)


def read(request: flask.Request, actor: str, *, is_whole: bool) -> Asked:
    """The request as a value; a form that is too large is none."""
    return Asked(
        request.method,
        request.path,
        actor,
        request.script_root,
        request.host,
        dict(request.args),
        dict(request.form) if is_whole else {},
        request.cookies.get(COOKIE, ""),
        request.headers.get("Origin", ""),
        request.headers.get("Sec-Fetch-Site", ""),
    )


def respond(given: Answer) -> flask.Response:
    """The value as a response."""
    return flask.Response(given.body, given.status, dict(given.headers))
