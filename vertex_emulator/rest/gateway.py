"""From an HTTP request to a method of the emulator, and back."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from vertex_emulator.administration import PATH
from vertex_emulator.errors import DEPLOYED_MODEL_HEADER, ApiError, missing
from vertex_emulator.rest.errors import http_error
from vertex_emulator.rest.routing import Match, Routes, decoded
from vertex_emulator.rest.rules import all_rules
from vertex_emulator.rest.transcode import HTTP_BODY, Body, Style, read_request, routing_of, write_answer

if TYPE_CHECKING:
    from vertex_emulator.administration import Administration
    from vertex_emulator.calls import Served

_JSON = "application/json; charset=UTF-8"
_DEDICATED = re.compile(
    r"(?P<endpoint>[^.]+)\.(?P<region>[a-z0-9-]+)-(?P<number>\d+)\.prediction\.vertexai\.goog(:\d+)?"
)
"""The host of a dedicated endpoint (documentation: "Create a public endpoint")."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """What is answered over HTTP."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Gateway:
    """Serves methods under the paths of their HTTP rules."""

    def __init__(self, served: Mapping[str, Served], administration: Administration | None = None) -> None:
        self._served = served
        self._administration = administration
        self._routes = Routes(all_rules())

    def serve(self, verb: str, path: str, query: Sequence[tuple[str, str]], body: Body, host: str = "") -> Reply:
        """Answer one request; every failure becomes an answer too."""
        try:
            return self._serve(verb, path, query, body, host)
        except ApiError as error:
            status, text = http_error(error)
            headers = {DEPLOYED_MODEL_HEADER: error.deployed_model} if error.deployed_model else {}
            return Reply(status, text, headers=headers)
        except Exception as error:
            logger.exception("%s %s failed", verb, path)
            return Reply(*http_error(ApiError(grpc.StatusCode.INTERNAL, f"Emulator error: {error!r}")))

    def _serve(self, verb: str, path: str, query: Sequence[tuple[str, str]], body: Body, host: str) -> Reply:
        if self._administration is not None and path.startswith(PATH):
            answer = self._administration.over_http(verb, path, body.data)
            return Reply(200, (json.dumps(answer, indent=2) + "\n").encode())
        match = self._routes.find(verb, decoded(path))
        if match is None:
            missing(f"The requested URL {path} for {verb}")
        served = self._served.get(match.rule.method)
        if served is None:
            raise ApiError(grpc.StatusCode.UNIMPLEMENTED, f"The emulator does not have {match.rule.method}.")
        _check_host(host, match)
        style = Style.of(path, query)
        http_body = served.request.DESCRIPTOR.fields_by_name.get("http_body")
        is_raw = http_body is not None and http_body.message_type.full_name == HTTP_BODY
        request = read_request(served.request, match, query, body, style=style, is_raw_body=is_raw)
        answered = served.call(request, routing_of(match.fields))
        text, content_type = write_answer(answered, style=style, is_stream=served.is_streaming)
        return Reply(200, text, content_type, answered.headers)


def _check_host(host: str, match: Match) -> None:
    """Let a dedicated endpoint's host answer for that endpoint only, and for its predictions only."""
    dedicated = _DEDICATED.fullmatch(host)
    if dedicated is None:
        return
    endpoint = match.fields.get("endpoint", "")
    if not endpoint.endswith(f"/locations/{dedicated['region']}/endpoints/{dedicated['endpoint']}"):
        missing(
            f"The requested URL on the host {host}, which serves predictions of endpoint {dedicated['endpoint']} only,"
        )
