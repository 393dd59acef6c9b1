"""HTTPS with a Google-signed ID token: pause, resume, abort, promote, adopt."""

from __future__ import annotations

import flask
import functions_framework
from flask.typing import ResponseReturnValue

from shared import runtime
from shared.actions.access import ForbiddenError
from shared.actions.command import parse_command
from shared.actions.obeying import obey
from shared.actions.refusals import About, note_refusal
from shared.errors import PermanentError, RefusedError, TransientError
from shared.identity import UnauthenticatedError
from shared.permissions import LIVE, PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.endpoints.get",
    "aiplatform.endpoints.update",
    "aiplatform.models.get",
    "aiplatform.models.list",
    "aiplatform.models.update",
    *LIVE,
    *STORE,
    PUBLISH,
)


@functions_framework.http
def receive_command(request: flask.Request) -> ResponseReturnValue:
    """Answered when done, with what is the case afterwards, or with one sentence that says what to change."""
    with runtime.request("receive_command", request) as body:
        if request.method != "POST":
            return {"error": "send commands with POST"}, 405, {"Allow": "POST"}
        if len(body) > runtime.LARGEST_BODY:
            return {"error": f"a command has at most {runtime.LARGEST_BODY} bytes"}, 413
        try:
            audience = world().environment.get("COMMAND_AUDIENCE", "")
            actor = world().keys.verified_email(request.headers.get("Authorization", ""), audience)
            return obey(world(), parse_command(body), actor)
        except UnauthenticatedError as exc:
            note_refusal(world(), "unauthenticated", str(exc), About())
            return {"error": str(exc)}, 401, {"WWW-Authenticate": "Bearer"}
        except ForbiddenError as exc:
            return {"error": str(exc)}, 403
        except RefusedError as exc:
            return {"error": str(exc)}, 409
        except PermanentError as exc:
            return {"error": str(exc)}, 400
        except TransientError as exc:
            return {"error": f"{exc}; try again"}, 503
