"""What another policy would have decided about a rollout, minute by minute, on what was really served.

The ledger says when which split was served, Monitoring what came of it. The same functions judge and decide that judge and decide a
rollout under way (``gather``, ``decide``). What cannot be replayed is said and not guessed: once the other policy has taken the candidate
back, or given it more than it really had, the requests that followed are those of another split. Evidence holds under any split, so a
later stage is judged all the same; after a rollback nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest

from shared.policy.schema import Policy
from shared.rollout.decide import Decision, Kind, decide
from shared.rollout.evidence import Evidence, Proving, gather, looked_until
from shared.rollout.observed import Minute
from shared.rollout.record import LedgerEntry, Phase, Rollout

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Stretch:
    """One share of the traffic as it really was served."""

    share: int
    """The candidate's percent."""
    begins: datetime
    ends: datetime
    decision: str
    """What ended it, in the ledger's word; empty if it has not ended."""
    sentence: str
    """The ledger's."""

    @property
    def phase(self) -> Phase:
        """With all the traffic it is watched, beside no stable."""
        return Phase.WATCHING if self.share == 100 else Phase.CANARY


@dataclass(frozen=True)
class Replayed:
    """A stretch under the other policy."""

    stretch: Stretch
    stage: int
    """Of the other policy: the first that gives as much traffic."""
    first: Decision | None
    """The first decision that was more than to hold."""
    at: datetime | None
    """When it would have been taken: the end of its minute, and the lag."""
    last: Decision | None
    """The last word, where nothing but holding was decided; None if there was no minute."""


def stretches_of(rollout: Rollout, ledger: Iterable[LedgerEntry], now: datetime) -> tuple[Stretch, ...]:
    """The shares that a rollout's candidate has had, oldest first; none where it never had traffic."""
    written = sorted((e for e in ledger if e.rollout == rollout.id and e.traffic_after is not None), key=lambda e: e.at)
    found = []
    for entry, following in zip_longest(written, written[1:]):
        share = (entry.traffic_after or {}).get(rollout.deployed_id, 0)
        if share:
            ends, decision, sentence = (
                (following.at, following.decision, following.sentence) if following else _end_of(rollout, now)
            )
            found.append(Stretch(share, entry.at, ends, decision, sentence))
    return tuple(found)


def _end_of(rollout: Rollout, now: datetime) -> tuple[datetime, str, str]:
    if rollout.phase.is_open:
        return now, "", ""
    return rollout.updated_at, "finish", rollout.sentence


def replay(
    policy: Policy, rollout: Rollout, stretches: Iterable[Stretch], minutes: Iterable[Minute]
) -> Iterator[Replayed]:
    """Each stretch in turn; the one in which the other policy takes the candidate back is the last."""
    by_end = {minute.at: minute for minute in minutes}
    evidence: Evidence | None = None
    for stretch in stretches:
        evidence, replayed = _replay_one(policy, rollout, stretch, by_end, evidence)
        yield replayed
        if replayed.first and replayed.first.kind is Kind.ROLL_BACK:
            return


def _replay_one(
    policy: Policy, rollout: Rollout, stretch: Stretch, minutes: Mapping[datetime, Minute], before: Evidence | None
) -> tuple[Evidence | None, Replayed]:
    stage = _stage_of(policy, stretch.share)
    imagined = replace(
        rollout,
        phase=stretch.phase,
        stage=stage,
        stage_since=stretch.begins,
        phase_since=stretch.begins,
        hold=None,
        stop=None,
        approved=False,
        resumed_at=None,
    )
    spec = policy.rollout
    control = rollout.stable_id if stretch.phase is Phase.CANARY else ""
    proving = Proving(spec, control, stretch.share) if spec.advance == "evidence" else None
    evidence, first, at, last = before, None, None, None
    for end in _ends_of_minutes(stretch):
        seen = [minutes[end]] if end in minutes else []
        evidence = gather(evidence, rollout.id, stretch.begins, seen, rollout.deployed_id, spec.metrics, proving)
        evidence = looked_until(evidence, end)
        last = decide(policy, imagined, evidence, end + spec.metrics.lag)
        if last.is_due and first is None:
            first, at = last, end + spec.metrics.lag
        if last.kind is Kind.ROLL_BACK:
            # An earlier go-ahead does not undo it: the candidate is taken back in whatever stage it then has.
            first, at = last, end + spec.metrics.lag
            break
    return evidence, Replayed(stretch, stage, first, at, last)


def _stage_of(policy: Policy, share: int) -> int:
    return next(number for number, stage in enumerate(policy.rollout.stages) if stage.traffic >= share)


def _ends_of_minutes(stretch: Stretch) -> Iterator[datetime]:
    end = stretch.begins.replace(second=0, microsecond=0) + _MINUTE
    while end <= stretch.ends:
        yield end
        end += _MINUTE
