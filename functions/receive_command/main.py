"""HTTPS with a Google-signed ID token: pause, resume, abort, promote, adopt."""

from __future__ import annotations

import flask
import functions_framework
from flask.typing import ResponseReturnValue

from shared import runtime
from shared.actions.command import ForbiddenError, obey, parse_command
from shared.errors import PermanentError, RefusedError, TransientError
from shared.identity import GOOGLE_CERTS, UnauthenticatedError, audience_of, verified_email
from shared.permissions import PUBLISH, STORE
from shared.wiring import world

PERMISSIONS = (
    "aiplatform.endpoints.get",
    "aiplatform.endpoints.update",
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
        environment = world().environment
        try:
            actor = verified_email(
                request.headers.get("Authorization", ""),
                audience_of(environment, request.base_url),
                environment.get("ID_TOKEN_CERTS_URL", GOOGLE_CERTS),
            )
            return obey(world(), parse_command(body), actor)
        except UnauthenticatedError as exc:
            return {"error": str(exc)}, 401
        except ForbiddenError as exc:
            return {"error": str(exc)}, 403
        except RefusedError as exc:
            return {"error": str(exc)}, 409
        except PermanentError as exc:
            return {"error": str(exc)}, 400
        except TransientError as exc:
            return {"error": f"{exc}; try again"}, 503
