"""The way of a version over several endpoints, wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.rollout.names import rollout_id
from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry, Phase, Rollout
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import MODEL

Errors = Mapping[TargetRef, Mapping[str, float]]
"""The share of failed requests by endpoint and version."""


@dataclass(frozen=True)
class Journey:
    """All targets of the stories' model, in the order of its policy."""

    cloud: Cloud
    refs: tuple[TargetRef, ...]

    def on(self, ref: TargetRef, version: str) -> Rollout:
        """A version's rollout on one endpoint."""
        stored = self.cloud.world.store.get_rollout(rollout_id(MODEL, version, ref))
        assert stored is not None, f"no rollout of v{version} on {ref}"
        return stored.rollout

    def told(self, ref: TargetRef, version: str) -> list[LedgerEntry]:
        return self.cloud.world.store.ledger(rollout=self.on(ref, version).id)

    def phases(self, version: str) -> list[Phase]:
        """Where a version is, endpoint by endpoint."""
        return [self.on(ref, version).phase for ref in self.refs]

    def splits(self) -> list[dict[str, int]]:
        """Version to percent, endpoint by endpoint; each version by its number at home."""
        return [self.cloud.split(ref) for ref in self.refs]

    def minutes(self, number: int, errors: Errors | None = None) -> None:
        """So many minutes with traffic on every endpoint, each followed by a tick and all that it asks for."""
        for _ in range(number):
            self.serve(errors)
            self.cloud.minutes(1, requests=0)

    def serve(self, errors: Errors | None = None) -> None:
        """Requests for every endpoint at this moment."""
        for ref in self.refs:
            self.cloud.serve(300, (errors or {}).get(ref, {}), ref)

    def until(self, ref: TargetRef, version: str, phase: Phase) -> None:
        """Minute by minute, until a version is so far on one endpoint."""
        while self.on(ref, version).phase is not phase:
            self.minutes(1)

    def until_settled(self, version: str, errors: Errors | None = None) -> None:
        """Until a version's journey is over on every endpoint."""
        for _ in range(60):
            if not any(phase.is_open for phase in self.phases(version)):
                return
            self.minutes(5, errors)
        raise AssertionError(
            f"v{version} did not come to an end: {[self.on(ref, version).sentence for ref in self.refs]}"
        )

    def deliver_unjudged(self, version: str) -> None:
        """The same without traffic, for a version that no check looks at: with all the traffic everywhere in the end."""
        for _ in range(60):
            if not any(phase.is_open for phase in self.phases(version)):
                break
            self.cloud.advance(minutes=3)
            self.cloud.minutes(1, requests=0)
        assert self.splits() == [{version: 100}] * len(self.refs)
