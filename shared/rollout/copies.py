"""Which versions of other regions and projects are copies of ours.

A version has its number from the region in which it was registered. A copy gets another one, and says itself whose copy it is, so it is
found again whoever made it and whatever was lost since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.rollout.labels import ADOPTED
from shared.rollout.names import COPY_OF, copy_label, version_number
from shared.rollout.observed import Endpoint, ModelVersion

Place = tuple[str, str]
"""Project and region."""


def copies(home: Place, model: str, there: Iterable[ModelVersion]) -> dict[str, str]:
    """By the version at home, the number of its copy; should there be two after all, the lower one."""
    found: dict[str, str] = {}
    for version in sorted(there, key=lambda v: version_number(v.version)):
        if number := original(home, model, version):
            found.setdefault(number, version.version)
    return found


def is_copy(version: ModelVersion) -> bool:
    """Whether it says that it is a copy of anything."""
    return COPY_OF in version.labels or bool(version.copied_from)


def of_one_artifact(version: ModelVersion, at_home: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Those at home that were made of the same files; none for one without files."""
    uri = version.artifact_uri.rstrip("/")
    return [v for v in at_home if uri and v.artifact_uri.rstrip("/") == uri]


def known_at_home(endpoint: Endpoint) -> Endpoint:
    """The endpoint with the model that was adopted called by its number at home, as copies of ours are called by their names."""
    deployed_id, _, number = endpoint.labels.get(ADOPTED, "").partition("_")
    if not (number.isascii() and number.isdecimal()):  # anybody may edit labels
        return endpoint
    return replace(
        endpoint,
        deployed=tuple(
            replace(one, version=number, copied_as=one.registered) if one.id == deployed_id else one
            for one in endpoint.deployed
        ),
    )


def at_place(wanted: Mapping[str, str], numbers: Mapping[str, str]) -> dict[str, str]:
    """Aliases by the numbers of another place; what is not copied there has none."""
    return {alias: numbers[version] for alias, version in wanted.items() if version in numbers}


def original(home: Place, model: str, version: ModelVersion) -> str:
    """The version at home that one of another place says it is a copy of; empty where it says nothing, or names something else."""
    project, region = home
    label = version.labels.get(COPY_OF, "")
    named = re.search(r"-v([0-9]+)-[0-9a-f]{6}$", label)
    if named and label == copy_label(project, region, model, named[1]):
        return named[1]
    prefix = f"{region}/{model}@"
    # Vertex AI copies within a project only, and writes the project's number into the name.
    if version.project == project and version.copied_from.startswith(prefix):
        return version.copied_from.removeprefix(prefix)
    return ""
