"""Endpoints whose deployed models have one number each, wherever they stand: also one that somebody else has deployed in another region.

What we deploy says by its name whose copy it is. The name of a deployed model cannot be changed, so what was adopted is named by a label of
its endpoint.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping

from shared.rollout.copies import known_at_home
from shared.rollout.labels import ADOPTED
from shared.rollout.observed import Endpoint, TargetRef
from shared.vertex.endpoints import Endpoints


class KnownEndpoints(Endpoints):
    """The same methods; an endpoint without that label costs nothing more."""

    def get(self, ref: TargetRef) -> Endpoint | None:
        found = super().get(ref)
        return _known(found) if found else None

    def list(self, project: str, region: str, only: Collection[str] | None = None) -> builtins.list[Endpoint]:
        return [_known(endpoint) for endpoint in super().list(project, region, only)]

    def write_traffic(self, endpoint: Endpoint, split: Mapping[str, int], labels: Mapping[str, str]) -> Endpoint:
        return _known(super().write_traffic(endpoint, split, labels))

    def write_labels(self, endpoint: Endpoint, labels: Mapping[str, str]) -> Endpoint:
        return _known(super().write_labels(endpoint, labels))


def _known(endpoint: Endpoint) -> Endpoint:
    return known_at_home(endpoint) if ADOPTED in endpoint.labels else endpoint
