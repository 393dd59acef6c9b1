"""Tries all code paths with one transport, many at once, and writes what came of each as JSON lines into a file.

A program of its own: the SDK takes seconds to import, its state is global, and both roots of trust are read from the
environment when the first connection is made. Most of each path's time is the SDK's wait between two looks at an operation.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

from tests.emulator_sdk import endpoint_paths, job_paths, registry_paths
from tests.emulator_sdk.catalogue import PATHS, CodePath, Sdk

CHAPTERS = (registry_paths, endpoint_paths, job_paths)
_AT_ONCE = 24


def main(transport: str, address: str, buckets: str, outcomes: str, names: list[str]) -> None:
    """Try the paths that are named, or all."""
    logging.getLogger("google.cloud.aiplatform").setLevel(logging.ERROR)
    aiplatform.init(
        project="local-project",
        location="us-central1",
        api_endpoint=address,
        api_transport=transport,
        credentials=AnonymousCredentials(),
        staging_bucket="gs://models",
    )
    sdk = Sdk(aiplatform, exceptions, transport, address, Path(buckets))

    def attempt(path: CodePath) -> dict[str, str]:
        try:
            path.run(sdk)
        except Exception:  # noqa: BLE001  (whatever it is, it is the outcome)
            return {"name": path.name, "failure": traceback.format_exc()}
        return {"name": path.name, "failure": ""}

    chosen = [path for path in PATHS.values() if transport in path.transports and (not names or path.name in names)]
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        lines = [json.dumps(outcome) + "\n" for outcome in workers.map(attempt, chosen)]
    Path(outcomes).write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
