"""The lean import in fresh processes: what is loaded, and that nothing is lost by it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    """What a new interpreter prints; warnings are errors there too."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


COUNT = "import sys; print(sum(name.startswith('{}') for name in sys.modules))"


def test_two_services_load_a_fraction_of_the_vertex_client() -> None:
    loaded = run(
        "import shared.vertex.endpoints, shared.vertex.registry\n" + COUNT.format("google.cloud.aiplatform_v1")
    )
    assert int(loaded) <= 60  # 45 at the time of writing; the eager packages load 560


def test_the_metrics_reader_loads_one_service_of_monitoring() -> None:
    loaded = run("import shared.metrics.reader\n" + COUNT.format("google.cloud.monitoring_v3"))
    assert int(loaded) <= 25


def test_neither_loads_the_high_level_sdk() -> None:
    names = run(
        "import sys, shared.vertex.endpoints, shared.vertex.registry, shared.vertex.jobs, shared.metrics.reader\n"
        "print([name for name in sys.modules if name in ('google.cloud.aiplatform', 'vertexai')])"
    )
    assert names == "[]"


def test_importing_the_package_alone_loads_nothing_of_the_client() -> None:
    assert run("import shared.vertex\n" + COUNT.format("google.cloud.aiplatform_v1.")) == "2"  # services and types


def test_the_whole_package_is_still_there_when_asked_for() -> None:
    said = run(
        "import shared.vertex.endpoints as ours\n"
        "from google.cloud import aiplatform_v1\n"
        "from google.cloud.aiplatform_v1 import types\n"
        "assert aiplatform_v1.EndpointServiceClient is ours.EndpointServiceClient\n"
        "assert types.Endpoint is ours.endpoint_types.Endpoint\n"
        "assert aiplatform_v1.__version__\n"
        "names = {}\n"
        "exec('from google.cloud.aiplatform_v1 import *', names)\n"
        "assert names['TensorboardServiceClient']\n"
        "print(hasattr(aiplatform_v1, 'NoSuchThing'), hasattr(aiplatform_v1, '__wrapped__'))"
    )
    assert said == "False False"


@pytest.mark.parametrize(
    "order",
    [
        ("import shared.vertex.endpoints", "from google.cloud import aiplatform"),
        ("from google.cloud import aiplatform", "import shared.vertex.endpoints"),
    ],
)
def test_the_high_level_sdk_works_before_and_after(order: tuple[str, str]) -> None:
    said = run(
        "\n".join(order) + "\n"
        "from google.cloud import aiplatform_v1\n"
        "print(aiplatform.Model.__name__,"
        " aiplatform_v1.EndpointServiceClient is shared.vertex.endpoints.EndpointServiceClient)"
    )
    assert said == "Model True"


def test_many_threads_may_ask_for_the_whole_package_at_once() -> None:
    said = run(
        "import shared.vertex\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from google.cloud import aiplatform_v1\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    found = set(pool.map(lambda _: aiplatform_v1.ModelServiceClient, range(16)))\n"
        "print(len(found))"
    )
    assert said == "1"
