"""The object in the bucket that says who is live, or whose each key is, and writes of it that fail."""

from __future__ import annotations

from local.stepped import PROJECT, REGION
from local.storage import StorageError
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ENDPOINT

OBJECT = f"{PROJECT}/{REGION}/{ENDPOINT}.json"


def write_fails_once(cloud: Cloud, when: str) -> None:
    """The next write of the object fails once: refused ``before`` it is carried out, or its answer lost ``after``."""

    def fail(method: str, name: str) -> None:
        if method == "insert" and name == OBJECT:
            setattr(cloud.storage, when, lambda method, name: None)
            raise StorageError(503, "Backend Error")

    setattr(cloud.storage, when, fail)
