"""What ``terraform apply`` would make, as Terraform itself plans it with mock answers of Google: no cloud, no registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from infra import check
from infra.package import ROOT, package_all

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None or check.schema_only() is None,
    reason=f"needs terraform, and its schema-only provider beside the project or named by {check.PROVIDER}",
)


class Plan:
    """The resources of one plan by address."""

    def __init__(self, resources: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
        self._resources = resources

    def of(self, type_: str, within: str = "") -> dict[str, dict[str, Any]]:
        """The arguments of the resources of one type, by address; ``within`` is part of it."""
        return {a: after for a, (kind, after) in self._resources.items() if kind == type_ and within in a}

    def one(self, type_: str, within: str) -> dict[str, Any]:
        (found,) = self.of(type_, within).values()
        return found


def plan(run: str = "defaults") -> Plan:
    """The plan of one run of infra/tests/root.tftest.hcl; no file of the repository is written."""
    package_all(ROOT, ROOT / "build" / "functions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(check.PROVIDER, str(check.schema_only()))
        with check.provided() as environment:
            command = [
                "terraform",
                f"-chdir={check.INFRA}",
                "test",
                "-json",
                "-verbose",
                "-filter=tests/root.tftest.hcl",
            ]
            always = {**os.environ, **environment, "CHECKPOINT_DISABLE": "1"}
            subprocess.run(["terraform", f"-chdir={check.INFRA}", "get"], env=always, capture_output=True, check=True)
            done = subprocess.run(command, env=always, capture_output=True, text=True, check=False, timeout=300)
    for line in done.stdout.splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("type") == "test_plan" and said.get("@testrun") == run:
            changes = said["test_plan"]["resource_changes"]
            return Plan({one["address"]: (one["type"], one["change"]["after"] or {}) for one in changes})
    raise AssertionError(f"there is no plan of {run}:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")


def as_message(value: Any, key: str = "") -> Any:
    """Arguments of Terraform as the API's message in JSON: no nulls, and a block of one is a message."""
    if isinstance(value, dict):
        return {k: as_message(v, k) for k, v in value.items() if v not in (None, [], {}, "") and k not in NOT_SENT}
    if isinstance(value, list):
        items = [as_message(one) for one in value]
        return items if key in REPEATED else items[0]
    return value


NOT_SENT = frozenset({"project", "notification_channels", "timeouts", "deletion_policy", "links", "id", "name"})
REPEATED = frozenset(
    {"conditions", "aggregations", "denominator_aggregations", "group_by_fields", "notification_channels", "labels"}
)
