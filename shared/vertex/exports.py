"""Versions in a bucket for devices that fetch them: a folder that looks like an endpoint to everybody who decides.

``FOLDER/vN/ID/`` has the files, ``FOLDER/manifests/ID.json`` their checksums, ``FOLDER/current.json`` says which manifest devices are to
follow. A manifest is written last, so what it names is complete; the pointer moves only if it is still the one that was read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from shared.errors import AlreadyExistsError, ConflictError, NotFoundError, RefusedError
from shared.rollout.labels import read_labels
from shared.rollout.names import export_place
from shared.rollout.observed import DeployedModel, Endpoint, TargetRef
from shared.vertex.pointers import JSON, labels_of, metadata

if TYPE_CHECKING:
    from shared.buckets import Buckets, Object
    from shared.vertex.endpoints import DeploySpec

OPERATION = "export:"
"""Before the name of what is no operation of Vertex AI's: it is over when it has a name."""


class Exports:
    """The methods of ``Endpoints`` that a rollout needs, on a folder of a bucket."""

    def __init__(self, buckets: Callable[[], Buckets]) -> None:
        self._buckets = buckets

    def get(self, ref: TargetRef) -> Endpoint:
        """What is exported, and what is current; a folder needs not be made."""
        bucket, folder = _place(ref)
        current = self._buckets().look(bucket, f"{folder}/current.json")
        found = [_deployed(one) for one in self._buckets().list(bucket, f"{folder}/manifests/")]
        live = current.metadata.get("live") if current else None
        return Endpoint(
            ref=ref,
            etag=str(current.generation if current else 0),
            labels=labels_of(current) if current else {},
            split={live: 100} if live else {},
            deployed=tuple(found),
            display_name=folder,
        )

    def deploy(self, ref: TargetRef, spec: DeploySpec) -> str:
        """Copy the version's files, then write its manifest; begun again, it copies what is missing."""
        bucket, folder = _place(ref)
        buckets, manifest = self._buckets(), f"{folder}/manifests/{spec.deployed_id}.json"
        if not spec.artifact_uri.startswith("gs://"):
            raise RefusedError(
                f"{spec.model}@{spec.version} has no files to export: its artifact is {spec.artifact_uri or 'none'}"
            )
        source, _, prefix = spec.artifact_uri.removeprefix("gs://").partition("/")
        prefix = prefix.rstrip("/")
        found = [one for one in buckets.list(source, prefix) if one.name == prefix or one.name.startswith(f"{prefix}/")]
        if not found:
            raise RefusedError(
                f"{spec.model}@{spec.version} has no files to export: there are none in {spec.artifact_uri}"
            )
        to = f"{folder}/v{spec.version}/{spec.deployed_id}"
        there = {one.name: one for one in buckets.list(bucket, f"{to}/")}
        files = []
        for one in found:
            name = one.name.removeprefix(prefix).lstrip("/") or one.name.rpartition("/")[2]
            copy = there.get(f"{to}/{name}")
            if copy is None or (copy.size, copy.crc32c) != (one.size, one.crc32c):
                copy = buckets.copy(one, bucket, f"{to}/{name}")
            if copy.crc32c != one.crc32c:
                raise ConflictError(f"the copy of gs://{source}/{one.name} differs from it; it is made again")
            files.append({"name": name, "size": copy.size, "crc32c": copy.crc32c})
        content = {
            "schema": "edge-manifest/v1",
            "model": spec.model,
            "version": spec.version,
            "base": f"gs://{bucket}/{to}/",
            "files": files,
        }
        about = {"model": spec.model, "version": spec.version, "id": spec.deployed_id, "base": to}
        try:
            buckets.write(bucket, manifest, _encoded(content), JSON, 0, about)
        except ConflictError as exc:
            raise AlreadyExistsError(f"gs://{bucket}/{manifest} is there already: {exc}") from exc
        return f"{OPERATION}{spec.deployed_id}"

    def write_traffic(self, endpoint: Endpoint, split: Mapping[str, int], labels: Mapping[str, str]) -> Endpoint:
        """Move the pointer; ConflictError when it is no longer as it was read."""
        shares = {one: share for one, share in split.items() if share}
        held = endpoint.find(next(iter(shares), ""))
        if held is None or shares != {held.id: 100}:
            raise RefusedError(f"devices of {endpoint.ref} follow one version, not {shares}")
        bucket, folder = _place(endpoint.ref)
        manifest = self._buckets().look(bucket, f"{folder}/manifests/{held.id}.json")
        if manifest is None:
            raise ConflictError(f"the manifest of {held.model}@{held.version} is gone from gs://{bucket}/{folder}")
        trial = read_labels(labels)
        before = endpoint.find(next(iter(endpoint.split), ""))
        content = {
            "schema": "edge-current/v1",
            "model": held.model,
            "version": held.version,
            "manifest": f"gs://{bucket}/{manifest.name}",
            "crc32c": manifest.crc32c,
            "deployed_model": held.id,
            "rollout": trial.rollout or trial.closed,
            "since": trial.at.isoformat() if trial.at else None,
            "before": before.version if before else "",
        }
        name, about = f"{folder}/current.json", metadata(held.id, labels)
        self._buckets().write(bucket, name, _encoded(content), JSON, int(endpoint.etag), about)
        return self.get(endpoint.ref)

    def write_labels(self, endpoint: Endpoint, labels: Mapping[str, str]) -> Endpoint:
        """The same pointer with other labels."""
        if not endpoint.split:
            raise ConflictError(f"nothing is current in {endpoint.ref}, so there is nothing to write labels on")
        return self.write_traffic(endpoint, endpoint.split, labels)

    def undeploy(self, ref: TargetRef, deployed_id: str) -> str:
        """Delete an export that devices do not follow; the manifest last, so that it can be begun again."""
        bucket, folder = _place(ref)
        if self.get(ref).share(deployed_id):
            raise RefusedError(f"devices of {ref} follow {deployed_id}")
        manifest = self._buckets().look(bucket, f"{folder}/manifests/{deployed_id}.json")
        if manifest is None:
            raise NotFoundError(f"{ref} has no export {deployed_id}")
        for one in [*self._buckets().list(bucket, f"{manifest.metadata['base']}/"), manifest]:
            self._buckets().delete(one)
        return f"{OPERATION}{deployed_id}"


def _place(ref: TargetRef) -> tuple[str, str]:
    place = export_place(ref)
    if place is None:
        raise NotFoundError(f"{ref} is no folder of a bucket")
    return place


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()


def _deployed(manifest: Object) -> DeployedModel:
    about = manifest.metadata
    name = manifest.name.rpartition("/")[2].removesuffix(".json")
    return DeployedModel(about.get("id", name), about.get("model", ""), about.get("version", ""), 0, 0, pool="export")
