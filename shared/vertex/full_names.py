"""Resource names of Vertex AI, built and taken apart.

A name that comes back carries the project's number where the request had its id, so names are compared by their last segments
and a value that is returned gets the project of the request.
"""

from __future__ import annotations

import re

from shared.errors import PermanentError
from shared.rollout.observed import ModelVersion, TargetRef


def location(project: str, region: str) -> str:
    """The parent of everything in one region."""
    return f"projects/{project}/locations/{region}"


def endpoint(ref: TargetRef) -> str:
    """An endpoint's full name."""
    return f"{location(ref.project, ref.region)}/endpoints/{ref.endpoint}"


def pool(project: str, region: str, pool_id: str) -> str:
    """The full name of a pool of machines."""
    return f"{location(project, region)}/deploymentResourcePools/{pool_id}"


def model(project: str, region: str, model_id: str, version: str = "") -> str:
    """A model's full name; with a version or an alias, that version's."""
    suffix = f"@{version}" if version else ""
    return f"{location(project, region)}/models/{model_id}{suffix}"


def version(v: ModelVersion) -> str:
    """A version's full name."""
    return model(v.project, v.region, v.model, v.version)


def last_segment(name: str) -> str:
    """The id at the end of a name: of ``.../endpoints/e``, ``e``."""
    return name.rpartition("/")[2]


def split_model(name: str) -> tuple[str, str]:
    """Model id and version of ``.../models/m@2``; the version is empty where the name has none."""
    model_id, _, version_id = last_segment(name).partition("@")
    return model_id, version_id


def model_at(name: str, version_id: str) -> str:
    """``model@version`` of a reply that gives the version in a field of its own, in the name, or not at all."""
    model_id, in_name = split_model(name)
    found = version_id or in_name
    return f"{model_id}@{found}" if found else model_id


def of_project(name: str, project: str) -> str:
    """The same name with the project as it was asked for."""
    return re.sub(r"^projects/[^/]+", f"projects/{project}", name)


def region_of(name: str) -> str:
    """The region in any full name, an operation's among them: each region has an address of its own."""
    found = re.match(r"^projects/[^/]+/locations/([^/]+)/", name)
    if not found:
        raise PermanentError(f"{name!r} names no region; expected projects/PROJECT/locations/REGION/...")
    return found[1]
