"""Which requests are sent again to a shadow: pure, and the same for every delivery of the same request."""

from __future__ import annotations

import hashlib
from datetime import datetime

from shared.policy.shadow import Shadow
from shared.rollout.record import Phase, Rollout


def is_shadowing(rollout: Rollout) -> bool:
    """Whether the shadow answers at present."""
    return rollout.phase is Phase.SHADOW and rollout.stage_since is not None and rollout.stop is None


def why_not(shadow: Shadow, rollout: Rollout, request: str, asked: datetime, answered_by: str, size: int) -> str:
    """Why a request is not sent again; empty when it is. ``size`` is the request's, in bytes."""
    if answered_by != rollout.stable_id:
        return f"{answered_by or 'nobody'} answered it, and the stable is {rollout.stable_id}"
    if rollout.stage_since and asked < rollout.stage_since:
        return "it is older than the shadow"
    if size > shadow.payload_kib * 1024:
        return f"it has {size} bytes, and {shadow.payload_kib} KiB are allowed"
    if not is_sampled(request, shadow.sample):
        return f"it is not among the {shadow.sample * 100:g} % that are sent again"
    return ""


def is_sampled(request: str, share: float) -> bool:
    """By a hash of the id: the same requests each time, whatever they hold."""
    return _hash("sample", request) < share * 2**64


def place_of(rollout: str, request: str, asked: datetime, per_minute: int) -> str:
    """The request's place in the budget of its minute; a document's id."""
    return f"{rollout}~{int(asked.timestamp()) // 60}~{_hash('place', request) % per_minute}"


def _hash(use: str, request: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{use}\0{request}".encode()).digest()[:8])
