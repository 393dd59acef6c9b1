"""The object that says what is live: labels as an endpoint has them, beside its content, in the metadata that a look returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.rollout.labels import PAIR, PREFIX, STICKY

if TYPE_CHECKING:
    from shared.buckets import Object

JSON = "application/json"


def metadata(live: str, labels: Mapping[str, str]) -> dict[str, str]:
    """What is live, and of the labels those that are ours."""
    return {"live": live, "labels": json.dumps(own_labels(labels))}


def own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Without other people's, and without those that say what an endpoint is to others."""
    return {key: value for key, value in labels.items() if key.startswith(PREFIX) and key not in (PAIR, STICKY)}


def labels_of(found: Object) -> dict[str, str]:
    """Anybody may edit an object: what is no map of labels reads as none."""
    try:
        labels = json.loads(found.metadata.get("labels", "{}"))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
