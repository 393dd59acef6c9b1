"""The rules of a traffic split (types/endpoint.py: Endpoint.traffic_split)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vertex_emulator.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

BEING_DEPLOYED = "0"
"""In the split of a DeployModel request: the model that the request deploys."""


def check_split(split: Mapping[str, int], deployed: Collection[str]) -> None:
    """Refuse a split that is not empty and does not give exactly 100 to models that are deployed."""
    if not split:
        return
    if unknown := [deployed_id for deployed_id in split if deployed_id not in deployed]:
        invalid(f"The following DeployedModel ID(s) [{', '.join(unknown)}] do not exist.")
    if any(share < 0 for share in split.values()):
        invalid(f"traffic_split must not have negative percentages: {dict(split)}.")
    if sum(split.values()) != 100:
        invalid(f"traffic_split percentages must add up to 100; they add up to {sum(split.values())}.")
