"""What a finding is, and what the ones about a single deployed model are asked with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Literal

from shared.costs.fleet import Deployed, Endpoint, Fleet, summed
from shared.costs.holdings import Holding
from shared.costs.load import ENOUGH, LEAST, Load, load_of
from shared.costs.money import MONTH, cents, rate, usd
from shared.costs.money import hours as exact_hours
from shared.costs.prices import Hardware, PriceBook

Confidence = Literal["high", "medium", "low"]


@dataclass(frozen=True)
class Unmeasured:
    """What could not be concluded, and for want of what."""

    subject: str
    lacking: str


@dataclass(frozen=True)
class Finding:
    """One thing that could be cheaper, or has to be dearer."""

    kind: str
    endpoint: str
    """Project, region and id; of a version without an endpoint, project, region and model."""
    subject: str
    """What a person calls it."""
    sentence: str
    saving: Decimal | None
    """US dollars a month of 720 hours, to the cent. Below 0 it costs more; None: without a price it is not known."""
    confidence: Confidence
    evidence: tuple[str, ...]
    arithmetic: str
    command: str
    claims: tuple[str, ...] = ()
    """The deployed models whose replicas it would save; the same replicas are saved once."""
    counted: bool = True
    """Whether its saving is in the sum: not where another finding saves the same replicas."""
    owner: str = ""
    change: tuple[tuple[str, int], ...] = field(default=())
    """For what can be done and undone by itself: the new limits of the replicas."""

    @property
    def id(self) -> str:
        """The same in every audit that finds the same."""
        return sha256("\n".join((self.kind, self.endpoint, *self.claims)).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Case:
    """One deployed model, with what is known of it."""

    fleet: Fleet
    book: PriceBook
    holding: Holding

    @property
    def endpoint(self) -> Endpoint:
        return self.holding.endpoint

    @property
    def deployed(self) -> Deployed:
        return self.holding.deployed

    @property
    def subject(self) -> str:
        return f"{self.deployed.model}@{self.deployed.version} on {self.endpoint.title}"

    @cached_property
    def load(self) -> Load | None:
        return load_of(self.fleet, self.deployed)

    @cached_property
    def under_trial(self) -> bool:
        """Whether a rollout is open on its endpoint: its replicas are the rollout's business then."""
        return any(one.rollout_open for one in self.endpoint.deployed)

    @property
    def settled(self) -> bool:
        """Whether it carries an endpoint's traffic, outside of a rollout."""
        return self.deployed.role == "stable" and self.deployed.share > 0 and not self.under_trial

    @cached_property
    def predictions(self) -> float | None:
        """All that it answered; None where too little of its life was measured."""
        begin, end = self.fleet.life(self.deployed)
        answered = summed(self.fleet, self.deployed.measured.predictions, begin, end)
        lived = float(self.holding.cost.lived_hours)
        return self.holding.cost.predictions if answered.hours >= ENOUGH * lived else None

    @property
    def lived_long_enough(self) -> bool:
        begin, end = self.fleet.life(self.deployed)
        return end - begin >= LEAST

    def price(self, hardware: Hardware) -> Decimal | None:
        found = self.book.price(hardware)
        return found.usd_hour if found else None

    def month(self, saved_in_window: Decimal | None, hours: float | None = None) -> Decimal | None:
        """What was saved in the measured hours (or in so many), for a month of 720, to the cent."""
        measured = self.holding.cost.measured_hours if hours is None else exact_hours([hours])
        return None if saved_in_window is None or not measured else cents(saved_in_window * MONTH / measured)

    @property
    def bill(self) -> str:
        """How its month is counted."""
        cost, price = self.holding.cost, self.holding.price
        if not price:
            return f"{cost.replica_hours:f} replica-hours of {self.deployed.hardware}, whose price is not known"
        return (
            f"{number(cost.replica_hours)} replica-hours x {rate(price.usd_hour)} in {number(cost.measured_hours)} h"
            f" = {usd(cost.usd)}, a month of 720 h {usd(cost.usd_month)}"
        )

    @property
    def undeploy(self) -> str:
        e = self.endpoint
        return (
            f"gcloud ai endpoints undeploy-model {e.id} --project={e.project} --region={e.region}"
            f" --deployed-model-id={self.deployed.id}"
        )

    def limits(self, minimum: int, maximum: int) -> str:
        """How the limits of its replicas are changed."""
        e = self.endpoint
        if e.policy:
            return (
                f"machine.replicas: {{min: {minimum}, max: {maximum}}} in the policy of {e.policy}, then rollouts apply"
            )
        resources = f'{{"minReplicaCount": {minimum}, "maxReplicaCount": {maximum}}}'
        return (
            f'curl -X POST -H "Authorization: Bearer $(gcloud auth print-access-token)" -H "Content-Type: application/json"'
            f" https://{e.region}-aiplatform.googleapis.com/v1/projects/{e.project}/locations/{e.region}/endpoints/{e.id}"
            f':mutateDeployedModel -d \'{{"deployedModel": {{"id": "{self.deployed.id}", "dedicatedResources": {resources}}},'
            f' "updateMask": "dedicatedResources.minReplicaCount,dedicatedResources.maxReplicaCount"}}\''
        )

    def redeploy(self, hardware: Hardware) -> str:
        """How the same version gets another machine; the machine of a deployed model cannot be changed."""
        e, one = self.endpoint, self.deployed
        if e.policy:
            gpu = (
                f", accelerator: {{type: {hardware.accelerator}, count: {hardware.count}}}"
                if hardware.accelerator
                else ""
            )
            spot = ", spot: true" if hardware.spot else ""
            return f"machine: {{type: {hardware.machine}{gpu}{spot}}} in the policy of {e.policy}, then rollouts apply; the next version has it"
        gpu = f" --accelerator=type={hardware.accelerator.lower().replace('_', '-')},count={hardware.count}"
        return (
            f"gcloud ai endpoints deploy-model {e.id} --project={e.project} --region={e.region} --model={one.model}@{one.version}"
            f" --display-name={one.model} --machine-type={hardware.machine}{gpu if hardware.accelerator else ''}"
            f"{' --spot' if hardware.spot else ''} --min-replica-count={one.minimum} --max-replica-count={one.maximum},"
            " then move the traffic"
        )

    def finding(
        self,
        kind: str,
        sentence: str,
        saving: Decimal | None,
        confidence: Confidence,
        evidence: Iterable[str],
        arithmetic: str,
        command: str,
        change: tuple[tuple[str, int], ...] = (),
    ) -> Finding:
        """A finding about this deployed model."""
        return Finding(
            kind,
            str(self.endpoint),
            self.subject,
            sentence,
            saving,
            confidence,
            tuple(evidence),
            arithmetic,
            command,
            (self.holding.key,),
            owner=self.endpoint.owner,
            change=change,
        )

    def lacks(self, what: str) -> Unmeasured:
        return Unmeasured(self.subject, what)


Found = Finding | Unmeasured | None


def number(value: Decimal | float) -> str:
    """``2,160`` or ``2,160.25``: without zeros that say nothing."""
    text = f"{value:,.3f}"
    return text.rstrip("0").rstrip(".")


def percent(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.1 or not value else f"{100 * value:.1f} %"
