"""The caller's ID token: given, or from gcloud."""

from __future__ import annotations

import shutil
import subprocess

from shared.errors import PermanentError

_OTHERWISE = "give the token by ROLLOUTS_ID_TOKEN"


def token_or_refuse(given: str | None) -> str:
    """The token that was given, else the one that ``gcloud auth print-identity-token`` prints."""
    if given and given.strip():
        return given.strip()
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise PermanentError(f"there is no ID token, and gcloud is not installed to make one; {_OTHERWISE}")
    try:
        asked = subprocess.run(  # noqa: S603
            [gcloud, "auth", "print-identity-token"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PermanentError(f"gcloud could not be asked for an ID token ({error}); {_OTHERWISE}") from None
    token = asked.stdout.strip()
    if asked.returncode or not token:
        why = " ".join(asked.stderr.split()) or f"it ended with {asked.returncode} and no token"
        raise PermanentError(f"gcloud gave no ID token: {why}; log in with `gcloud auth login`, or {_OTHERWISE}")
    return token
