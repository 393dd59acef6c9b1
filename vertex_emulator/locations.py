"""google.cloud.location.Locations: the regions in which the emulator pretends to be, which is every one that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.cloud.location import locations_pb2

from vertex_emulator.errors import invalid
from vertex_emulator.filters import page

if TYPE_CHECKING:
    from vertex_emulator.state import State

REGIONS = (
    *("us-central1", "us-east1", "us-east4", "us-east5", "us-south1", "us-west1", "us-west2", "us-west3", "us-west4"),
    *("northamerica-northeast1", "northamerica-northeast2", "southamerica-east1", "southamerica-west1"),
    *("europe-central2", "europe-north1", "europe-southwest1", "europe-west1", "europe-west2", "europe-west3"),
    *("europe-west4", "europe-west6", "europe-west8", "europe-west9", "europe-west12", "africa-south1", "me-central1"),
    *("me-central2", "me-west1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3"),
    *("asia-south1", "asia-southeast1", "asia-southeast2", "australia-southeast1", "australia-southeast2"),
)
"""The regions of the documentation's page "Locations"; new ones appear, so others are answered too."""


class Locations:
    """Serves Locations."""

    def __init__(self, state: State) -> None:
        self._state = state

    def ListLocations(self, request: Any) -> Any:
        """List the regions of ``projects/P``."""
        parts = request.name.split("/")
        if len(parts) != 2 or parts[0] != "projects":
            invalid(f"Invalid resource name {request.name!r}: expected projects/PROJECT.")
        shown, token = page(REGIONS, request.page_size, request.page_token)
        locations = [self._location(f"{request.name}/locations/{region}") for region in shown]
        return locations_pb2.ListLocationsResponse(locations=locations, next_page_token=token)

    def GetLocation(self, request: Any) -> Any:
        """Return one region."""
        return self._location(self._state.projects.location(request.name))

    @staticmethod
    def _location(name: str) -> Any:
        region = name.rpartition("/")[2]
        return locations_pb2.Location(name=name, location_id=region, labels={"cloud.googleapis.com/region": region})
