"""The high-level SDK, as it is installed, against the emulator: over gRPC with TLS, and over REST with TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulator_sdk import endpoint_paths, job_paths, registry_paths
from tests.emulator_sdk.catalogue import PATHS
from vertex_emulator.stack import LocalVertex

CHAPTERS = (registry_paths, endpoint_paths, job_paths)
ROOT = Path(__file__).parents[2]
TRANSPORTS = ("grpc", "rest")
Outcomes = dict[str, dict[str, str]]


def _start(transport: str, local: LocalVertex, buckets: Path, outcomes: Path) -> subprocess.Popen[str]:
    address = local.tls_address if transport == "grpc" else local.rest_address
    return subprocess.Popen(
        [sys.executable, "-m", "tests.emulator_sdk.run_paths", transport, address, str(buckets), str(outcomes)],
        cwd=ROOT,
        env={**os.environ, **local.environment(), "GOOGLE_CLOUD_PROJECT": "local-project"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="package")
def outcomes(local: LocalVertex, buckets: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What came of each path, by transport; both run at the same time."""
    files = {transport: tmp_path_factory.mktemp("outcomes") / f"{transport}.jsonl" for transport in TRANSPORTS}
    running = {transport: _start(transport, local, buckets, file) for transport, file in files.items()}
    found: Outcomes = {}
    for transport, process in running.items():
        output, _ = process.communicate(timeout=110)
        assert process.returncode == 0, output[-2000:]
        lines = [json.loads(line) for line in files[transport].read_text().splitlines()]
        found[transport] = {line["name"]: line["failure"] for line in lines}
    return found


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_code_path(transport: str, name: str, outcomes: Outcomes) -> None:
    assert outcomes[transport][name] == ""


def test_at_least_twenty_published_code_paths_are_tried() -> None:
    assert len([path for path in PATHS.values() if path.source]) >= 20
