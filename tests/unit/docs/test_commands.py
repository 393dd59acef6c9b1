"""The commands in the documentation that are cheap to run work as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import ROOT, documents

_MARKED = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = sorted(
    {
        (path.name, line)
        for path in documents()
        for block in _MARKED.findall(path.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if line and not line.startswith("#")
    }
)


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_a_documented_command_works(document: str, command: str, tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "STORE_PATH": str(tmp_path / "rollouts.db"),
    }
    done = subprocess.run(
        ["sh", "-euc", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{document}: {command}\n{done.stdout}{done.stderr}"


def test_there_are_such_commands_in_the_readme_and_in_the_reference() -> None:
    assert {"README.md", "policy.md"} <= {document for document, _ in COMMANDS}
