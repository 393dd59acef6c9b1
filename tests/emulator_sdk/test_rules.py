"""The HTTP rules are those of the client library, all of them, and none stands in another's way."""

from __future__ import annotations

import re

import pytest

from vertex_emulator import methods
from vertex_emulator.rest.routing import Routes, decoded
from vertex_emulator.rest.rules import all_rules

RULES = all_rules()
ROUTES = Routes(RULES)


def test_every_method_that_is_served_can_be_called_over_rest() -> None:
    served = {f"{service}/{name}" for service, names in methods.all_services().items() for name in names}
    assert served <= {rule.method for rule in RULES}


def test_every_rule_finds_its_own_method_again() -> None:
    lost = []
    for rule in RULES:
        path = re.sub(r"\{[^=}]+=?([^}]*)\}", lambda variable: variable[1] or "*", rule.template)
        path = path.replace("**", "some/thing").replace("*", "x1")
        found = ROUTES.find(rule.verb, path)
        if found is None or found.rule.method != rule.method:
            lost.append((rule.method, path, found))
    assert lost == []


@pytest.mark.parametrize(
    ("verb", "path", "method", "fields"),
    [
        (
            "POST",
            "/v1/projects/p/locations/l/endpoints/1:deployModel",
            "EndpointService/DeployModel",
            {"endpoint": "projects/p/locations/l/endpoints/1"},
        ),
        (
            "PATCH",
            "/v1/projects/p/locations/l/models/m%402",
            "ModelService/UpdateModel",
            {"model.name": "projects/p/locations/l/models/m@2"},
        ),
        (
            "GET",
            "/v1beta1/projects/p/locations/l/models/m/operations/7",
            "Operations/GetOperation",
            {"name": "projects/p/locations/l/models/m/operations/7"},
        ),
        (
            "GET",
            "/v3/projects/p/metricDescriptors/custom.googleapis.com/a/b",
            "MetricService/GetMetricDescriptor",
            {"name": "projects/p/metricDescriptors/custom.googleapis.com/a/b"},
        ),
    ],
)
def test_paths_are_taken_apart(verb: str, path: str, method: str, fields: dict[str, str]) -> None:
    match = ROUTES.find(verb, decoded(path))
    assert match is not None
    assert match.rule.method.endswith(method)
    assert match.fields == fields


def test_a_path_of_no_method_is_not_found() -> None:
    assert ROUTES.find("GET", "/v1/projects/p/locations/l/models/m:deployModel") is None
    assert ROUTES.find("GET", "/v2/projects/p/locations/l/models/m") is None
