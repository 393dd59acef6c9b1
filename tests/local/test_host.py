"""Both hosts serve real functions; both are asked the same."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local.host import Host, ProcessHost, ThreadedHost, discover
from local.pubsub import PubsubServer
from local.pubsub.wiring import DEAD_LETTERS, Route, subscription_of, wire
from tests.local.cloud import Cloud
from tests.local.functions import write_functions
from tests.local.helpers import eventually

PUSH = {
    "subscription": "projects/proj-1/subscriptions/keep-event",
    "message": {"data": "eA==", "messageId": "17", "publishTime": "2026-01-01T00:00:00Z", "attributes": {"k": "v"}},
}


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return discover(write_functions(tmp_path_factory.mktemp("functions")))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file in which ``keep_event`` writes; both hosts pass this process's environment on."""
    path = tmp_path_factory.mktemp("kept") / "events"
    os.environ["KEPT"] = str(path)
    yield path
    del os.environ["KEPT"]


@pytest.fixture(scope="module", params=["threads", "processes"])
def host(request: pytest.FixtureRequest, functions: dict[str, Path], kept: Path) -> Iterator[Host]:
    if request.param == "threads":
        with ThreadedHost(functions) as threaded:
            yield threaded
    else:
        with ProcessHost(functions, root=Path.cwd(), threads=2) as processes:
            yield processes


@pytest.fixture
def events(kept: Path) -> Path:
    kept.write_text("")
    return kept


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_folders_with_a_main_are_the_functions(functions: dict[str, Path], tmp_path: Path) -> None:
    assert sorted(functions) == ["fail", "greet", "keep_event"]
    (tmp_path / "no_main").mkdir()
    assert discover(tmp_path) == {}


def test_a_push_becomes_a_cloud_event_with_its_topic_as_source(host: Host, events: Path) -> None:
    response = requests.post(f"{host.url('keep_event')}/projects/proj-1/topics/news", json=PUSH, timeout=10)
    assert response.status_code == 200
    (event,) = lines(events)
    assert event["id"] == "17"
    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert event["source"] == "//pubsub.googleapis.com/projects/proj-1/topics/news"
    assert (event["data"], event["attributes"]) == ("eA==", {"k": "v"})


def test_an_http_function_sees_its_own_path_and_query(host: Host) -> None:
    answer = requests.get(f"{host.url('greet')}/a/b", params={"name": "Ada"}, timeout=10)
    assert answer.text.split(" ")[1:] == ["/a/b", "Ada"]
    assert requests.get(host.url("greet"), timeout=10).text.split(" ")[1:] == ["/", ""]


def test_a_function_that_raises_answers_500(host: Host) -> None:
    response = requests.post(f"{host.url('fail')}/projects/proj-1/topics/news", json=PUSH, timeout=10)
    assert response.status_code == 500
    assert response.headers["X-Google-Status"] == "crash"


def test_a_function_that_is_not_hosted_has_no_address(host: Host) -> None:
    with pytest.raises(KeyError, match="No function 'ghost' is hosted here"):
        host.url("ghost")


def test_published_messages_wake_the_functions_that_are_wired_to_them(
    host: Host, events: Path, server: PubsubServer, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOCK_ORIGIN", "1700000000")
    monkeypatch.setenv("CLOCK_RATE", "2000")
    routes = {"keep_event": Route("news", 'attributes.kind = "good"'), "fail": Route("news", attempts=6)}
    for _ in range(2):  # wiring again is harmless
        wired = wire(server.address, "proj-1", routes, host.url, topics=["rollout-changed"])
    assert wired == {"keep_event": subscription_of("proj-1", "keep_event"), "fail": subscription_of("proj-1", "fail")}
    topic = "projects/proj-1/topics/news"
    good = cloud.publish(topic, b"1", kind="good")
    bad = cloud.publish(topic, b"2", kind="bad")
    received: list[Any] = []
    while len(received) < 2:
        received += cloud.pull_some(f"projects/proj-1/subscriptions/{DEAD_LETTERS}")
    eventually(lambda: lines(events))
    assert [event["messageId"] for event in lines(events)] == [good]
    counts = server.broker.counts()
    assert counts[wired["fail"]]["delivered"] == 12
    assert sorted(found.message.data for found in received) == [b"1", b"2"]
    assert bad != good
    assert cloud.publisher.get_topic(topic="projects/proj-1/topics/rollout-changed")


def test_each_function_has_a_module_of_its_own_and_leaves_nothing_behind(functions: dict[str, Path]) -> None:
    modules, paths, environment = set(sys.modules), list(sys.path), dict(os.environ)
    with ThreadedHost(functions) as threaded:
        assert requests.get(threaded.url("greet"), timeout=10).text == "function_greet / "
        assert "main" not in sys.modules
        assert dict(os.environ) == environment
        unknown = requests.get(threaded.url("greet").replace("greet", "ghost"), timeout=10)
    assert (unknown.status_code, "'ghost'" in unknown.text) == (404, True)
    assert sys.path == paths
    assert not [name for name in set(sys.modules) - modules if name.startswith(("function_", "entry_point_"))]


def test_a_folder_without_its_entry_point_is_named(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def something_else(): ...\n")
    with pytest.raises(AttributeError, match="has no function 'roll_back'"):
        ThreadedHost({"roll_back": tmp_path})
    with pytest.raises(FileNotFoundError, match=r"a function is a folder with a main.py"):
        ThreadedHost({"roll_back": tmp_path / "nowhere"})


def test_a_process_that_does_not_start_says_what_it_printed(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise RuntimeError('no such table')\n")
    with pytest.raises(RuntimeError, match="no such table"):
        ProcessHost({"broken": tmp_path}, root=None).start()


def test_a_killed_process_comes_back_at_the_same_address(functions: dict[str, Path]) -> None:
    with ProcessHost({"greet": functions["greet"]}, root=None, threads=1) as processes:
        url = processes.url("greet")
        processes.kill("greet")
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)
        processes.restart("greet")
        assert requests.get(url, timeout=10).status_code == 200
        processes.restart("greet")
        assert requests.get(url, timeout=10).status_code == 200
