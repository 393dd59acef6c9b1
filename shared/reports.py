"""Where reports go: a bucket of Cloud Storage, or a folder.

``REPORTS_BUCKET`` in the cloud, ``REPORTS_FOLDER`` elsewhere; neither means that no files are kept. A report that is written again on the same
day replaces that day's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from shared.errors import PermanentError, TransientError

KINDS = {".html": "text/html", ".json": "application/json", ".csv": "text/csv"}


class Reports(Protocol):
    """Keeps the files of a report."""

    def write(self, folder: str, files: Mapping[str, str]) -> str:
        """Keep them in a folder; where a person finds the first of them."""
        ...


class FolderReports:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, folder: str, files: Mapping[str, str]) -> str:
        try:
            for name, text in files.items():
                path = self._root / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise PermanentError(f"the report cannot be written to {self._root}: {error.strerror}") from None
        return str(self._root / folder / next(iter(files)))


class BucketReports:
    """A bucket; its client is imported when the first report is written."""

    def __init__(self, bucket: str, project: str, client: Any = None) -> None:
        self._name, self._project, self._client = bucket, project, client

    def write(self, folder: str, files: Mapping[str, str]) -> str:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError

        if self._client is None:
            from google.cloud import storage

            self._client = storage.Client(project=self._project)
        bucket = self._client.bucket(self._name)
        try:
            for name, text in files.items():
                kind = KINDS[Path(name).suffix]
                bucket.blob(f"{folder}/{name}").upload_from_string(text, content_type=f"{kind}; charset=utf-8")
        except (GoogleAPICallError, RetryError, GoogleAuthError) as error:
            raise TransientError(f"the report cannot be written to gs://{self._name}: {error}") from error
        return f"https://console.cloud.google.com/storage/browser/_details/{self._name}/{folder}/{next(iter(files))}"


def reports_from(environment: Mapping[str, str], project: str) -> Reports | None:
    """What the environment names; None where it names nothing."""
    if bucket := environment.get("REPORTS_BUCKET"):
        return BucketReports(bucket, project)
    if folder := environment.get("REPORTS_FOLDER"):
        return FolderReports(Path(folder))
    return None
