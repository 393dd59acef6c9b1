"""The records, by their types: rollouts, ledger, evidence, policies, claims, notices.

Everything that belongs to one transition is one commit: the rollout's record at the revision that was read, its ledger entry, the notice
that people get, and the trial's slot on its endpoint. So a transition is in the ledger once, or did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from shared.errors import ConflictError, PermanentError
from shared.rollout.index import IndexedVersion
from shared.rollout.observed import TargetRef
from shared.rollout.record import SCHEMA, LedgerEntry, Phase, Rollout
from shared.rollout.stops import ALL_MODELS, Stopped
from shared.store.budgets import BUDGETS, Budgets, as_stops
from shared.store.documents import Create, Delete, Documents, ExistsError, Replace, Write
from shared.store.records import (
    Claim,
    Notice,
    StoredPolicy,
    StoredRollout,
    Unsettled,
    claim_body,
    entry_writes,
    moment,
    read_claim,
    read_each_policy,
    read_entry,
    read_notice,
    read_policy,
    read_rollout,
    read_stop,
    read_version,
    readable,
    rollout_body,
    stop_body,
    version_body,
)

if TYPE_CHECKING:
    from shared.policy.schema import Policy
    from shared.store.answers import KnownAnswers
    from shared.store.audits import Audits
    from shared.store.evidence_pages import EvidencePages
    from shared.store.mirrored import Mirrored
    from shared.store.prices import Prices
    from shared.store.quality import Quality
    from shared.store.savings import Savings
    from shared.store.threads import Threads


class Store:
    """All records over one document store."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    @cached_property
    def evidence(self) -> EvidencePages:
        """What ticks have gathered; its statistics are imported by whoever asks, and a rollback does not."""
        from shared.store.evidence_pages import EvidencePages

        return EvidencePages(self._documents)

    @cached_property
    def mirrored(self) -> Mirrored:
        """What candidates in the shadow answered; only those who ask for it import how answers are compared."""
        from shared.store.mirrored import Mirrored

        return Mirrored(self._documents)

    @cached_property
    def quality(self) -> Quality:
        """What was reported of answers."""
        from shared.store.quality import Quality

        return Quality(self._documents)

    @cached_property
    def answers(self) -> KnownAnswers:
        """What versions have answered to fixed sets."""
        from shared.store.answers import KnownAnswers

        return KnownAnswers(self._documents)

    @cached_property
    def threads(self) -> Threads:
        """Where rollouts are told of in chats; only ``notify`` asks."""
        from shared.store.threads import Threads

        return Threads(self._documents)

    @cached_property
    def audits(self) -> Audits:
        """The last audit of costs."""
        from shared.store.audits import Audits

        return Audits(self._documents)

    @cached_property
    def savings(self) -> Savings:
        """What audits have saved without asking."""
        from shared.store.savings import Savings

        return Savings(self._documents)

    @cached_property
    def prices(self) -> Prices:
        """Prices that people have put into force."""
        from shared.store.prices import Prices

        return Prices(self._documents)

    @cached_property
    def budgets(self) -> Budgets:
        """Which budgets of Cloud Billing are spent."""
        return Budgets(self._documents)

    # -- rollouts and their ledger ---------------------------------------------------------------

    def create_rollout(self, rollout: Rollout, entry: LedgerEntry) -> bool:
        """Record a rollout with its first entry; False if it is recorded already (the same event again)."""
        rollout, entry = _number(rollout, entry)
        try:
            self._documents.commit(
                [Create("rollouts", rollout.id, rollout_body(rollout)), *entry_writes(entry, notice=True)]
            )
        except ExistsError:
            return False
        return True

    def get_rollout(self, id: str) -> StoredRollout | None:  # noqa: A002
        stored = self._documents.get("rollouts", id)
        return StoredRollout(read_rollout(stored), stored.revision) if stored else None

    def unsettled(self) -> Unsettled:
        """What a tick has to look at: open rollouts and those whose aliases do not stand yet; oldest change first."""
        return Unsettled(self._documents.query("rollouts", {"open": True}, order_by="updated_at"))

    def unsettled_rollouts(self) -> list[StoredRollout]:
        """All of them."""
        return self.unsettled().read()

    def rollouts_in(self, phase: Phase) -> list[Rollout]:
        """Those in one phase, in no order."""
        found = self._documents.query("rollouts", {"open": True, "phase": phase.value})
        return list(readable(read_rollout, found))

    def ended_rollouts(self, limit: int) -> list[Rollout]:
        """What has ended and asks for nothing more, newest change first."""
        found = self._documents.query("rollouts", {"open": False}, order_by="updated_at", descending=True, limit=limit)
        return list(readable(read_rollout, found))

    def rollouts_of_model(self, model: str, limit: int | None = None) -> list[Rollout]:
        """Newest change first."""
        found = self._documents.query("rollouts", {"model": model}, order_by="updated_at", descending=True, limit=limit)
        return list(readable(read_rollout, found))

    def rollouts_of_target(self, target: TargetRef, limit: int | None = None) -> list[Rollout]:
        """Newest change first."""
        found = self._documents.query(
            "rollouts", {"target": str(target)}, order_by="updated_at", descending=True, limit=limit
        )
        return list(readable(read_rollout, found))

    def transition(
        self,
        before: StoredRollout,
        after: Rollout,
        entry: LedgerEntry | None = None,
        *,
        notice: bool = True,
        slot: Literal["take", "free"] | None = None,
    ) -> StoredRollout:
        """Replace the record, with everything that belongs to the change. ConflictError if somebody was first.

        ``slot`` takes or frees the trial's place on the endpoint; taking one that is held is a ConflictError too.
        """
        if entry is not None:
            after, entry = _number(after, entry)
        writes: list[Write] = [Replace("rollouts", after.id, rollout_body(after), before.revision)]
        if entry is not None:
            writes += entry_writes(entry, notice=notice)
        if slot == "take":
            writes.append(Create("slots", _slot_id(after.target), {"rollout": after.id}))
        elif slot == "free":
            held = self._documents.get("slots", _slot_id(after.target))
            if held and held.body["rollout"] == after.id:
                writes.append(Delete("slots", held.id, held.revision))
        return StoredRollout(after, self._documents.commit(writes)[0])

    def busy(self, target: TargetRef) -> str:
        """The rollout whose trial occupies the endpoint; empty if none does."""
        held = self._documents.get("slots", _slot_id(target))
        return str(held.body["rollout"]) if held else ""

    def add_entry(self, entry: LedgerEntry, *, notice: bool = True) -> bool:
        """An entry that changes no record; False if it is there already, by its id."""
        try:
            self._documents.commit(entry_writes(entry, notice=notice))
        except ExistsError:
            return False
        return True

    def get_entry(self, id: str) -> LedgerEntry | None:  # noqa: A002
        stored = self._documents.get("ledger", id)
        return read_entry(stored) if stored else None

    def ledger(
        self, *, rollout: str | None = None, model: str | None = None, limit: int | None = None
    ) -> list[LedgerEntry]:
        """The entries of one rollout or one model, or all; oldest first."""
        where = {"rollout": rollout} if rollout else {"model": model} if model else None
        found = self._documents.query("ledger", where, order_by="at", limit=limit)
        return list(readable(read_entry, found))

    # -- notices -----------------------------------------------------------------------------------

    def get_notice(self, id: str) -> Notice | None:  # noqa: A002
        stored = self._documents.get("notices", id)
        return read_notice(stored) if stored else None

    def unsent_notices(self, limit: int = 100) -> list[Notice]:
        """Oldest first."""
        return [read_notice(s) for s in self._documents.query("notices", {"sent": False}, order_by="at", limit=limit)]

    def mark_sent(self, notice: Notice, channels: Iterable[str], *, complete: bool) -> Notice:
        """Remember which channels have it; ``complete`` when all have. The notice as it is then."""
        sent = tuple(sorted({*notice.sent, *channels}))
        body = {
            "sent": complete,
            "at": moment(notice.at),
            "rollout": notice.rollout,
            "channels": list(sent),
        }
        return replace(notice, sent=sent, revision=self._documents.replace("notices", notice.id, body, notice.revision))

    # -- policies -------------------------------------------------------------------------------------

    def put_policy(self, policy: Policy, author: str, at: datetime) -> StoredPolicy:
        """Declare a policy; the same content again stores nothing. PermanentError if an endpoint has another policy."""
        self._refuse_shared_endpoint(policy)
        head = self._documents.get("policy_heads", policy.model)
        body = policy.model_dump(mode="json", by_alias=True)
        if head and head.body["policy"] == body:
            return read_policy(head)
        version = (int(head.body["version"]) if head else 0) + 1
        record = {
            "model": policy.model,
            "version": version,
            "author": author,
            "applied_at": moment(at),
            "policy": body,
            "schema": SCHEMA,
        }
        writes: list[Write] = [Create("policies", f"{policy.model}@{version}", record)]
        writes.append(
            Replace("policy_heads", policy.model, record, head.revision)
            if head
            else Create("policy_heads", policy.model, record)
        )
        self._documents.commit(writes)
        return StoredPolicy(policy.model, version, author, at, policy, changed=True)

    def _refuse_shared_endpoint(self, policy: Policy) -> None:
        ours = {(t.project, t.region, t.endpoint) for t in policy.targets}
        for other in self.policies():
            theirs = {(t.project, t.region, t.endpoint) for t in other.policy.targets}
            if other.model != policy.model and ours & theirs:
                _, region, endpoint = sorted(ours & theirs, key=str)[0]
                raise PermanentError(
                    f"endpoint {region}/{endpoint} belongs to the policy of {other.model}; one endpoint has one policy"
                )

    def policy(self, model: str, version: int | None = None) -> StoredPolicy | None:
        """The present policy of a model, or the version that a rollout started with."""
        stored = (
            self._documents.get("policy_heads", model)
            if version is None
            else self._documents.get("policies", f"{model}@{version}")
        )
        return read_policy(stored) if stored else None

    def policy_versions(self, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Policy]:
        """Many at once, by model and version; what is not there is not among them."""
        found = self._documents.get_all("policies", list({f"{model}@{version}": None for model, version in keys}))
        return {(one.model, one.version): one.policy for one in readable(read_each_policy, found)}

    def policies(self) -> list[StoredPolicy]:
        """The present policy of every model."""
        return list(readable(read_each_policy, self._documents.query("policy_heads")))

    # -- claims -----------------------------------------------------------------------------------------

    def claim(self, id: str, holder: str, now: datetime, lease: timedelta) -> Claim:  # noqa: A002
        """Create-if-absent; the claim that stands, whoever holds it. A lease that ran out passes to the caller."""
        mine = Claim(id, "claimed", holder, now, now + lease)
        try:
            revision = self._documents.create("claims", id, claim_body(mine))
            return replace(mine, revision=revision)
        except ExistsError:
            stored = self._documents.get("claims", id)
        if stored is None:
            raise ConflictError(f"claim {id} appeared and vanished")
        found = read_claim(stored)
        if found.state == "done" or found.lease_until > now:
            return found
        return self.update_claim(replace(found, holder=holder, lease_until=now + lease))

    def update_claim(self, claim: Claim) -> Claim:
        """Write it over the revision it carries."""
        return replace(claim, revision=self._documents.replace("claims", claim.id, claim_body(claim), claim.revision))

    # -- stops -------------------------------------------------------------------------------------------

    def stops(self, *models: str) -> list[Stopped]:
        """What people and spent budgets have frozen, of these models and of all; of every model where none is named."""
        ids = [*models, ALL_MODELS, BUDGETS]
        found = self._documents.get_all("freezes", ids) if models else self._documents.query("freezes")
        of_budgets = [stop for s in found if s.id == BUDGETS for stop in as_stops(s.body)]
        return [*(read_stop(s) for s in found if s.id != BUDGETS), *of_budgets]

    def put_stop(self, stop: Stopped) -> None:
        """Freeze, or freeze anew: one per model, the last word holds."""
        before = self._documents.get("freezes", stop.model)
        if before is None:
            self._documents.create("freezes", stop.model, stop_body(stop))
        else:
            self._documents.replace("freezes", stop.model, stop_body(stop), before.revision)

    def lift_stop(self, model: str) -> Stopped | None:
        """The freeze that was lifted; None where there was none."""
        before = self._documents.get("freezes", model)
        if before is None:
            return None
        self._documents.delete("freezes", model, before.revision)
        return read_stop(before)

    # -- index of versions ---------------------------------------------------------------------------------

    def put_version(self, version: IndexedVersion) -> None:
        """The entry as it is now; of two writers at once the later one holds, since both have read the registry."""
        before, body = self._documents.get("versions", version.id), version_body(version)
        if before is not None and before.body == body:
            return
        if before is None:
            try:
                self._documents.create("versions", version.id, body)
            except ExistsError:
                self.put_version(version)
        else:
            self._documents.replace("versions", version.id, body, before.revision)

    def has_version(self, id: str) -> bool:  # noqa: A002
        return self._documents.get("versions", id) is not None

    def indexed_versions(self, model: str | None = None) -> list[IndexedVersion]:
        """All of a model, or of all models."""
        return [read_version(s) for s in self._documents.query("versions", {"model": model} if model else None)]

    # -- small marks --------------------------------------------------------------------------------------

    def mark_once(self, kind: str, id: str, at: datetime, keep: timedelta) -> bool:  # noqa: A002
        """True for the first caller with this id, False for all others until ``keep`` has passed."""
        try:
            self._documents.create("marks", f"{kind}-{id}", {"at": moment(at)}, expires=at + keep)
        except ExistsError:
            stored = self._documents.get("marks", f"{kind}-{id}")
            if stored is None or stored.expires is None or stored.expires > at:
                return False
            self._documents.delete("marks", stored.id, stored.revision)
            return self.mark_once(kind, id, at, keep)
        return True

    def is_marked(self, kind: str, id: str, at: datetime) -> bool:  # noqa: A002
        stored = self._documents.get("marks", f"{kind}-{id}")
        return stored is not None and (stored.expires is None or stored.expires > at)

    def close(self) -> None:
        self._documents.close()


def _slot_id(target: TargetRef) -> str:
    return str(target).replace("/", "~")


def _number(rollout: Rollout, entry: LedgerEntry) -> tuple[Rollout, LedgerEntry]:
    """The entry's place in the rollout's history is its id: the same transition cannot be written twice."""
    rollout = replace(rollout, sequence=rollout.sequence + 1)
    return rollout, replace(entry, id=f"{rollout.id}-{rollout.sequence:04d}")


__all__ = ["Claim", "Notice", "Store", "StoredPolicy", "StoredRollout"]
