"""The HTTP rules of every method: which verb, which path, which field is the body.

The client library of Vertex AI ships them in its own REST transports, where each method has its rules as the library will use
them; they are read from there. Its names for this begin with an underscore, so a test pins that they are still found.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vertex_emulator import methods
from vertex_emulator.rest.monitoring_rules import MONITORING

_OPERATIONS = "google.longrunning.Operations"
_LOCATIONS = "google.cloud.location.Locations"
_POLICIES = "google.iam.v1.IAMPolicy"
_MIXINS = {
    **dict.fromkeys(methods.OPERATIONS, _OPERATIONS),
    **dict.fromkeys(methods.LOCATIONS, _LOCATIONS),
    **dict.fromkeys(("GetIamPolicy", "SetIamPolicy", "TestIamPermissions"), _POLICIES),
}


@dataclass(frozen=True)
class Rule:
    """One way to call a method over HTTP (google/api/http.proto)."""

    verb: str
    """The HTTP method, e.g. ``POST``."""
    template: str
    """E.g. ``/v1/{name=projects/*/locations/*/models/*}``."""
    body: str
    """The request's field that is the HTTP body, ``*`` for all that the path does not hold, "" for none."""
    method: str
    """E.g. ``google.cloud.aiplatform.v1.ModelService/GetModel``."""


def all_rules() -> list[Rule]:
    """Return the rules of all services that the emulator has, served methods and others."""
    rules = {rule for service in methods.SERVICES for rule in _vertex_rules(service)}
    monitoring = [Rule(verb, template, body, method) for method, verb, template, body in MONITORING]
    return [*sorted(rules, key=lambda rule: (rule.method, rule.template)), *monitoring]


def _vertex_rules(service: str) -> Iterator[Rule]:
    package = re.sub(r"(?<!^)([A-Z])", r"_\1", service).lower()
    module = importlib.import_module(f"google.cloud.aiplatform_v1.services.{package}.transports.rest_base")
    transport: Any = getattr(module, f"_Base{service}RestTransport")
    for name in dir(transport):
        options = getattr(getattr(transport, name), "_get_http_options", None)
        if not name.startswith("_Base") or options is None:
            continue
        method = name.removeprefix("_Base")
        owner = _MIXINS.get(method, f"{methods.PACKAGE}.{service}")
        for option in options():
            yield Rule(option["method"].upper(), option["uri"], option.get("body", ""), f"{owner}/{method}")
