"""The evidence of one trial: every claim of every check as a running number that may be looked at after every tick.

It is gathered over all stages of the trial (a stage that ends is no reason to forget), minute by minute, each once and in order. What
it says holds however often one looks: P(a candidate that does no harm is ever rolled back) is at most the policy's ``confidence.harm``,
P(one that is margin-bad throughout ever passes a stage) at most ``confidence.no_harm`` (``shared.rollout.statistics``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from shared.policy.rollout import ERROR_RATE, Check, RolloutSpec
from shared.rollout.claims import Claim, Frozen, Odds, Own, OwnMean, freeze, harm_claims, no_harm_claims
from shared.rollout.observed import ArmMinute
from shared.rollout.statistics.binomial import split
from shared.rollout.statistics.combine import both, combine_harm, combine_no_harm, either
from shared.rollout.statistics.dispersion import Guarded, guard, update_guarded
from shared.rollout.statistics.process import Process, e_value, update

KEPT = 30
"""Past minutes that the dispersion guard of a claim of harm remembers."""
SUSPICION = 5.0
"""Evidence of harm that is no reason to take a candidate back, and reason enough not to give it more."""
SPLIT_ALPHA = 0.001
"""For the guard of the split, which only ever holds."""


@dataclass(frozen=True)
class Proof:
    """The state: claims by ``check/claim``; some kilobytes as JSON."""

    control: str = ""
    """The stable that the candidate is compared with; another one begins anew."""
    policy: int = 0
    """The version of the policy whose checks these are claims of; another one begins anew. 0: from before it was noted."""
    frozen: dict[str, Frozen] = field(default_factory=dict)
    guarded: dict[str, Guarded] = field(default_factory=dict)
    plain: dict[str, Process] = field(default_factory=dict)


@dataclass(frozen=True)
class Weighed:
    """What is known of one check."""

    harm: float
    no_harm: float


def update_proof(proof: Proof, spec: RolloutSpec, stable: ArmMinute | None, candidate: ArmMinute, share: int) -> Proof:
    """The state after one more minute; a minute that says nothing of a claim changes nothing of it."""
    frozen, guarded, plain = dict(proof.frozen), dict(proof.guarded), dict(proof.plain)
    for index, check in enumerate(spec.checks):
        name = str(index)
        if name not in frozen:
            found = freeze(check, stable, candidate)
            if found is None:
                continue
            frozen[name] = found
            if check.metric != ERROR_RATE:
                continue  # what this minute has fixed is not tested on it
        for claim in _claims(check, frozen[name]):
            _update(f"{name}/{claim.key}", claim, check.metric, stable, candidate, guarded, plain)
    if stable is not None and share < 100:
        test, key = split(share / 100), f"split-{share}"
        plain[key] = update(
            plain.get(key, test.begin()), test.log_ratios(stable.requests + candidate.requests, candidate.requests)
        )
    return replace(proof, frozen=frozen, guarded=guarded, plain=plain)


def _claims(check: Check, frozen: Frozen) -> Iterator[Claim]:
    """Every claim once, whatever group or stage asks for it."""
    groups = [
        harm_claims(check, frozen),
        no_harm_claims(check, frozen, last=False),
        no_harm_claims(check, frozen, last=True),
    ]
    yield from {claim.key: claim for group in groups for claims in group.values() for claim in claims}.values()


def _update(
    key: str,
    claim: Claim,
    metric: str,
    stable: ArmMinute | None,
    candidate: ArmMinute,
    guarded: dict[str, Guarded],
    plain: dict[str, Process],
) -> None:
    if isinstance(claim, Own | OwnMean):
        plain[key] = update(plain.get(key, claim.test.begin()), claim.log_ratios(candidate, metric))
    elif stable is None:
        return
    elif isinstance(claim, Odds):
        kept = KEPT if claim.test.starts == "all" else 0
        state = guarded.get(key) or guard(claim.test, kept)
        table = claim.table(stable, candidate, metric)
        guarded[key] = update_guarded(state, claim.test, table) if table else state
    else:
        plain[key] = update(plain.get(key, claim.test.begin()), claim.log_ratios(stable, candidate, metric))


def weigh(proof: Proof, index: int, check: Check, *, last: bool) -> Weighed:
    """The evidence of harm and of no harm of one check; 1 and 0 while nothing is known of it."""
    frozen = proof.frozen.get(str(index))
    if frozen is None:
        return Weighed(1.0, 0.0)
    harm = [_sum_harm(proof, index, name, claims) for name, claims in harm_claims(check, frozen).items()]
    no_harm = {
        name: _sum_no_harm(proof, index, claims)
        for name, claims in no_harm_claims(check, frozen, last=last).items()
        # Without a stable nothing can be shown beside one, and nothing of that kind may be waited for.
        if proof.control or all(isinstance(claim, Own | OwnMean) for claim in claims)
    }
    return Weighed(
        math.fsum(harm) / len(harm) if harm else 1.0,
        combine_no_harm(no_harm).e if no_harm else 0.0,
    )


def _sum_harm(proof: Proof, index: int, group: str, claims: list[Claim]) -> float:
    """A relative group is the average of its claims; a limit must be broken *and*, beside a stable, the candidate be worse than it."""
    if group == "relative":
        return math.fsum(_e(proof, index, claim) for claim in claims) / len(claims)
    own = next(claim for claim in claims if isinstance(claim, Own | OwnMean))
    if not proof.control:
        return _e(proof, index, own)
    return both(_e(proof, index, own), min(_e(proof, index, claim) for claim in claims if claim is not own))


def _sum_no_harm(proof: Proof, index: int, claims: list[Claim]) -> float:
    """One claim, or two of which either would do: within the margin, or below the floor."""
    es = [_e(proof, index, claim) for claim in claims]
    return either(*es) if len(es) == 2 else es[0]


def _e(proof: Proof, index: int, claim: Claim) -> float:
    key = f"{index}/{claim.key}"
    if isinstance(claim, Odds):
        return proof.guarded[key].e if key in proof.guarded else 1.0
    return e_value(proof.plain[key]) if key in proof.plain else 1.0


def harm_of_all(weighed: dict[str, Weighed]) -> tuple[float, str]:
    """The evidence that the candidate does any harm at all, and the metric that says most of it."""
    combined = combine_harm({name: w.harm for name, w in weighed.items()})
    return combined.e, combined.metric


def split_evidence(proof: Proof, share: int) -> float:
    """Evidence that the observed split is not the configured one."""
    process = proof.plain.get(f"split-{share}")
    return e_value(process) if process else 1.0
