"""Resource names, and the rules for ids, labels and aliases.

Vertex AI accepts a project's id in a request and answers with its number; names are stored with the number here too.
"""

from __future__ import annotations

import functools
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vertex_emulator.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LOCATION = re.compile(r"projects/([^/]+)/locations/([^/]+)")
_RESOURCE = re.compile(r"projects/[^/]+/locations/[^/]+/([A-Za-z]+)/([^/@]+)(?:@([^/@]+))?")
_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")  # types/model_service.py: UploadModelRequest.model_id
_ENDPOINT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[0-9]{1,9}")  # types/endpoint_service.py: endpoint_id
_POOL_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_DEPLOYED_MODEL_ID = re.compile(r"[0-9]{1,10}")  # types/endpoint.py: DeployedModel.id
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")  # types/model.py: Model.version_aliases
MOST_LABELS = 64


@dataclass(frozen=True)
class Projects:
    """The project ids that are known, with their numbers; any other id gets a number derived from it."""

    numbers: Mapping[str, str]

    def number(self, project: str) -> str:
        """Return a project's number, given its id or its number."""
        if project.isdigit():
            return project
        return self.numbers.get(project) or str(100_000_000_000 + zlib.crc32(project.encode()))

    def id(self, project: str) -> str:
        """Return a project's id where it is known, else what was given."""
        return next((name for name, number in self.numbers.items() if number == project), project)

    def canonical(self, name: str) -> str:
        """Return a name with the project's number in it."""
        if not name.startswith("projects/"):
            return name
        parts = name.split("/", 2)
        parts[1] = self.number(parts[1])
        return "/".join(parts)

    def location(self, parent: str) -> str:
        """Return a parent ``projects/P/locations/L`` in its stored form."""
        if not _LOCATION.fullmatch(parent):
            invalid(f"Invalid resource name {parent!r}: expected projects/PROJECT/locations/LOCATION.")
        return self.canonical(parent)

    def resource(self, name: str, collection: str) -> tuple[str, str]:
        """Return (stored name without a version, version or alias or "") of a resource of ``collection``."""
        match = _RESOURCE.fullmatch(name)
        if match is None or match[1] != collection:
            invalid(f"Invalid resource name {name!r}: expected projects/PROJECT/locations/LOCATION/{collection}/ID.")
        return self.canonical(name.partition("@")[0]), match[3] or ""


def location_of(name: str) -> str:
    """Return the region in a resource name, e.g. ``us-central1``."""
    return name.split("/")[3]


def last_segment(name: str) -> str:
    """Return the id at the end of a resource name."""
    return name.rsplit("/", 1)[-1]


def check_model_id(model_id: str) -> None:
    """Refuse a model id that Vertex AI would not take."""
    if not _MODEL_ID.fullmatch(model_id):
        invalid(f"model_id {model_id!r} is not valid: up to 63 of [a-z0-9_-], not beginning with a number or hyphen.")


def check_endpoint_id(endpoint_id: str) -> None:
    """Refuse an endpoint id that Vertex AI would not take."""
    if not _ENDPOINT_ID.fullmatch(endpoint_id):
        invalid(f"endpoint_id {endpoint_id!r} is not valid: up to 63 of [a-z0-9-], a letter first, or up to 9 digits.")


def check_pool_id(pool_id: str) -> None:
    """Refuse an id for a deployment resource pool that Vertex AI would not take."""
    if not _POOL_ID.fullmatch(pool_id):
        invalid(f"deployment_resource_pool_id {pool_id!r} is not valid: up to 63 of [a-z0-9-], a letter first.")


def check_deployed_model_id(deployed_model_id: str) -> None:
    """Refuse an id for a deployed model that Vertex AI would not take; "0" stands for "the one being deployed"."""
    if not _DEPLOYED_MODEL_ID.fullmatch(deployed_model_id) or deployed_model_id == "0":
        invalid(f"deployed_model.id {deployed_model_id!r} is not valid: 1 to 10 digits, and not 0.")


def check_aliases(aliases: Iterable[str]) -> None:
    """Refuse an alias that Vertex AI would not take."""
    for alias in aliases:
        if not _ALIAS.fullmatch(alias):
            invalid(f"Version alias {alias!r} is not valid: it must match {_ALIAS.pattern}.")


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels outside the rules (types/model.py: at most 64 characters, lower case, digits, ``_`` and ``-``)."""
    if len(labels) > MOST_LABELS:
        invalid(f"A resource has at most {MOST_LABELS} labels; there are {len(labels)}.")
    for key, value in labels.items():
        if not key or not key[0].isalpha():
            invalid(f"Label key {key!r} is not valid: it must begin with a lower-case letter.")
        for text in (key, value):
            if not _is_label_text(text):
                invalid(
                    f"Label {key}={value!r} is not valid: keys and values have at most 64 characters, and only "
                    "lower-case letters, digits, underscores and hyphens."
                )


@functools.lru_cache(4096)  # a label is written again with every change of its resource
def _is_label_text(text: str) -> bool:
    return len(text) <= 64 and all(_is_label_character(character) for character in text)


def _is_label_character(character: str) -> bool:
    return character in "_-" or character.isdigit() or (character.isalpha() and character == character.lower())
