"""Brings the model's artifact to a local directory.

Vertex AI copies the artifact into a bucket of its own and names it in ``AIP_STORAGE_URI``. The Cloud Storage client is
imported only for a ``gs://`` address: without it the server needs the standard library only.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit


class ArtifactError(Exception):
    """The artifact could not be brought here, or it is not a model that this server knows."""


def is_remote(uri: str) -> bool:
    """Whether fetching takes a network, and therefore a thread of its own."""
    return uri.startswith("gs://")


def fetch(uri: str) -> Path:
    """The local directory with the artifact's files; a remote one is downloaded first."""
    parts = urlsplit(uri)
    if parts.scheme == "gs":
        return _download(parts.netloc, parts.path.strip("/"))
    if parts.scheme not in {"", "file"}:
        raise ArtifactError(f"AIP_STORAGE_URI={uri}: {parts.scheme}:// is not supported; use gs://, file:// or a path")
    directory = Path(unquote(parts.path) if parts.scheme else uri)
    if not directory.is_dir():
        raise ArtifactError(f"AIP_STORAGE_URI={uri}: there is no such directory")
    return directory


def _download(bucket: str, prefix: str) -> Path:
    try:
        from google.cloud import storage
    except ImportError as error:
        raise ArtifactError(
            f"gs://{bucket}/{prefix} needs google-cloud-storage in the image (requirements.txt beside the Dockerfile)"
        ) from error
    directory = Path(tempfile.mkdtemp(prefix="artifact-"))
    client = storage.Client()
    count = 0
    for blob in client.list_blobs(bucket, prefix=f"{prefix}/" if prefix else None):
        relative = blob.name[len(prefix) :].lstrip("/")
        if not relative or relative.endswith("/"):
            continue
        target = (directory / relative).resolve()
        if directory.resolve() not in target.parents:
            raise ArtifactError(f"gs://{bucket}/{blob.name}: the object's name leaves the artifact's directory")
        target.parent.mkdir(parents=True, exist_ok=True)
        blob.download_to_filename(str(target))
        count += 1
    if not count:
        raise ArtifactError(f"gs://{bucket}/{prefix}: nothing there, or not readable by the service account")
    return directory
