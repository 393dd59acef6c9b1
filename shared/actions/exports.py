"""Folders of buckets that are targets: no list of endpoints has them, so each is read by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared import log
from shared.errors import RolloutsError
from shared.rollout.observed import Endpoint, TargetRef
from shared.wiring import World


def read_exports(world: World, refs: Iterable[TargetRef]) -> Iterator[Endpoint]:
    """Those that can be read now; one that cannot must not stop the others."""
    for ref in refs:
        try:
            found = world.endpoints.get(ref)
        except RolloutsError as exc:
            log.warning(f"{ref} cannot be read in this tick: {exc}")
            continue
        if found is not None:
            yield found
