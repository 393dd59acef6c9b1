"""What Google leaves undocumented, each way that it may be."""

from __future__ import annotations

import json

import grpc
import pytest
from google.api_core import exceptions

from tests.emulator.conftest import PARENT, MakeVertex, Vertex
from vertex_emulator.config import AT_COMPLETION, Config, config_from


def _serving(vertex: Vertex) -> str:
    vertex.upload()
    endpoint = vertex.endpoint()
    vertex.deploy(endpoint, "11")
    vertex.split(endpoint, {"11": 100})
    return endpoint


def test_stale_etags_are_ignored_where_the_configuration_says_so(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(etag_mismatch=None))
    endpoint = _serving(vertex)
    stale = vertex.endpoints.get_endpoint(name=endpoint).etag
    vertex.split(endpoint, {"11": 100}, labels={"a": "1"})
    written = vertex.split(endpoint, {"11": 100}, labels={"a": "2"}, etag=stale)
    assert dict(written.labels) == {"a": "2"}


def test_an_id_that_is_taken_can_be_refused_by_the_operation_instead_of_the_call(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(
        Config(duplicate_deployed_model=grpc.StatusCode.INVALID_ARGUMENT, duplicate_found=AT_COMPLETION)
    )
    endpoint = _serving(vertex)
    started = vertex.start_deploy(endpoint, "11")
    vertex.advance(600)
    with pytest.raises(exceptions.InvalidArgument, match="11 already exists"):
        vertex.finished(started)
    found = vertex.endpoints.get_endpoint(name=endpoint)
    assert [entry.id for entry in found.deployed_models] == ["11"]
    assert vertex.predict(endpoint).deployed_model_id == "11"


def test_of_two_deployments_with_one_id_the_first_to_end_stands_when_completion_decides(
    make_vertex: MakeVertex,
) -> None:
    vertex = make_vertex(Config(duplicate_found=AT_COMPLETION))
    vertex.upload()
    endpoint = vertex.endpoint()
    first, second = vertex.start_deploy(endpoint, "11"), vertex.start_deploy(endpoint, "11")
    vertex.advance(600)
    assert vertex.finished(first).deployed_model.id == "11"
    with pytest.raises(exceptions.AlreadyExists):
        vertex.finished(second)


def test_an_id_that_is_taken_can_be_accepted_and_then_takes_the_place_of_the_other(make_vertex: MakeVertex) -> None:
    vertex = make_vertex(Config(duplicate_deployed_model=None))
    endpoint = _serving(vertex)
    vertex.upload(parent_model=f"{PARENT}/models/relevance", version_aliases=["second"])
    vertex.deploy(endpoint, "11", "relevance@second")
    found = vertex.endpoints.get_endpoint(name=endpoint)
    assert [(entry.id, entry.model_version_id) for entry in found.deployed_models] == [("11", "2")]
    assert dict(found.traffic_split) == {"11": 100}
    assert vertex.predict(endpoint).model_version_id == "2"


def test_the_switches_are_set_in_the_configuration_file() -> None:
    text = '{"etag_mismatch": "IGNORED", "duplicate_deployed_model": "ACCEPTED", "duplicate_found": "at completion"}'
    config = config_from(json.loads(text))
    assert (config.etag_mismatch, config.duplicate_deployed_model) == (None, None)
    assert config.duplicate_found == AT_COMPLETION


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"etag_mismatch": "NEVER"},
            "config: etag_mismatch: 'NEVER' is neither a status code, e.g. ABORTED, nor IGNORED",
        ),
        ({"duplicate_found": "later"}, "config: duplicate_found must be 'at start' or 'at completion'"),
    ],
)
def test_a_switch_that_does_not_exist_is_refused(document: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_from(document)
