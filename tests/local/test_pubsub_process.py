"""The embedded Pub/Sub in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from local.pubsub import counts
from tests.local.cloud import Cloud


def test_it_says_where_it_listens_and_ends_when_asked() -> None:
    command = [sys.executable, "-m", "local.pubsub", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        variable, address = process.stdout.readline().strip().split("=")
        assert variable == "PUBSUB_EMULATOR_HOST"
        with Cloud(address) as cloud:
            topic = cloud.topic()
            cloud.publish(topic)
        assert counts(address)[topic] == {"published": 1}
        process.terminate()
        assert process.wait(10) == 0
