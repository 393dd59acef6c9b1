"""Who acts: every version of a policy is kept with its author."""

from __future__ import annotations

import shutil
import subprocess

from shared.errors import PermanentError


def author_or_refuse(given: str | None) -> str:
    """The author that was given, else the e-mail address that git knows this person by."""
    author = (given or _of_git()).strip()
    if not author:
        raise PermanentError("nobody is named as the author; give --author me@example.com, or set ROLLOUTS_AUTHOR")
    return author


def _of_git() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    asked = subprocess.run([git, "config", "user.email"], capture_output=True, text=True, check=False)  # noqa: S603 - a path that was looked up, and fixed arguments
    return asked.stdout
