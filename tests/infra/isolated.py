"""What a function finds where it is deployed: the pinned requirements, and nothing of this repository."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from infra.package import ROOT

_HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'
"""An empty file system over the repository, in a mount namespace of its own."""


def link_pinned(folder: Path) -> Path:
    """A folder of packages with what requirements.txt names and nothing that only developing needs."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    made: set[Path] = set()
    for name in [re.split("[=<>~]", line, maxsplit=1)[0] for line in lines if re.match("[A-Za-z]", line)]:
        for file in distribution(name).files or []:
            if file.parts[0] == "..":
                continue  # commands, which lie beside the packages
            source, target = Path(str(file.locate())), folder / file
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                try:
                    os.link(source, target)
                except OSError as exc:
                    if exc.errno != 18:  # another file system
                        raise
                    shutil.copy2(source, target)
    return folder


def blind() -> tuple[str, ...]:
    """The command of an interpreter that cannot see the repository; as blind as this machine allows.

    Without the right to mount, what it imports is all that can be looked at, and the tests do.
    """
    python = (str(Path(sys.executable).resolve()), "-S")
    for flags in ("-m", "-rm"):
        hidden = ("unshare", flags, "sh", "-c", _HIDE, "sh", str(ROOT))
        if shutil.which("unshare") is None:
            break
        looked = subprocess.run([*hidden, "ls", "-A", str(ROOT)], capture_output=True, text=True, check=False)
        if looked.returncode == 0 and not looked.stdout:
            return (*hidden, *python)
    return python
