"""The emulator as a process: what it prints is all that another program needs to know."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _running(*arguments: str) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "vertex_emulator", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    found: dict[str, str] = {}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("# Ready"):
                break
            name, _, value = line.strip().partition("=")
            found[name] = value
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_it_prints_the_variables_that_programs_need(tmp_path: Path) -> None:
    with _running("--tls", "--rest-port", "0", "--certificates", str(tmp_path)) as found:
        assert found["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] == found["REQUESTS_CA_BUNDLE"] == str(tmp_path / "ca.pem")
        assert found["VERTEX_EMULATOR_TLS_ADDRESS"].startswith("localhost:")
        assert found["MONITORING_EMULATOR_HOST"] == found["VERTEX_EMULATOR_HOST"]
        url = found["CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM"]
        assert url == f"http://{found['VERTEX_EMULATOR_REST_ADDRESS']}/"
        connection = http.client.HTTPConnection(found["VERTEX_EMULATOR_REST_ADDRESS"], timeout=5)
        connection.request("GET", "/v1/projects/p/locations")
        assert connection.getresponse().status == 200
        connection.close()


def test_without_options_it_serves_plain_grpc_only() -> None:
    with _running() as found:
        assert set(found) == {"VERTEX_EMULATOR_HOST", "MONITORING_EMULATOR_HOST"}


def test_a_port_that_is_taken_is_an_error_that_says_so() -> None:
    with _running() as found:
        port = found["VERTEX_EMULATOR_HOST"].rpartition(":")[2]
        command = [sys.executable, "-m", "vertex_emulator", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "The emulator cannot listen" in done.stderr
