"""Records as documents: what the store gives out, and how each is written and read back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from shared.policy.schema import Policy
from shared.rollout.observed import TargetRef
from shared.rollout.record import LEDGER_ENTRY, ROLLOUT, SCHEMA, LedgerEntry, Rollout
from shared.store.documents import Create, Stored, Write


@dataclass(frozen=True)
class StoredRollout:
    """A rollout as read; only at this revision may it be replaced."""

    rollout: Rollout
    revision: str


@dataclass(frozen=True)
class StoredPolicy:
    """One version of a policy, with who declared it and when."""

    model: str
    version: int
    author: str
    applied_at: datetime
    policy: Policy
    changed: bool = False
    """Whether this call stored a new version."""


@dataclass(frozen=True)
class Claim:
    """Who is registering a training run, and how far they are."""

    id: str
    state: Literal["claimed", "uploading", "done"]
    holder: str
    at: datetime
    lease_until: datetime
    operation: str = ""
    model: str = ""
    version: str = ""
    revision: str = ""
    schema: int = SCHEMA


CLAIM = TypeAdapter(Claim)


@dataclass(frozen=True)
class Notice:
    """A message that people are to get, until it is known to be sent."""

    id: str
    rollout: str
    at: datetime
    sent: tuple[str, ...] = ()
    """The channels that have it already."""
    revision: str = ""


def moment(at: datetime) -> str:
    """One width for all times, so that their order as text is their order in time."""
    return at.isoformat(timespec="microseconds")


def rollout_body(rollout: Rollout) -> dict[str, Any]:
    body: dict[str, Any] = ROLLOUT.dump_python(rollout, mode="json")
    return body | {
        "target": str(rollout.target),
        "open": rollout.is_unsettled,
        "updated_at": moment(rollout.updated_at),
    }


def read_rollout(stored: Stored) -> Rollout:
    target = TargetRef.parse(stored.body["target"])
    body = {k: v for k, v in stored.body.items() if k not in ("open", "target")}
    return ROLLOUT.validate_python(body | {"target": vars(target)})


def entry_writes(entry: LedgerEntry, *, notice: bool) -> list[Write]:
    body: dict[str, Any] = LEDGER_ENTRY.dump_python(entry, mode="json") | {"at": moment(entry.at)}
    writes: list[Write] = [Create("ledger", entry.id, body)]
    if notice:
        writes.append(
            Create(
                "notices", entry.id, {"sent": False, "at": moment(entry.at), "rollout": entry.rollout, "channels": []}
            )
        )
    return writes


def read_entry(stored: Stored) -> LedgerEntry:
    return LEDGER_ENTRY.validate_python(stored.body)


def read_notice(stored: Stored) -> Notice:
    body = stored.body
    return Notice(
        stored.id, body["rollout"], datetime.fromisoformat(body["at"]), tuple(body["channels"]), stored.revision
    )


def read_policy(stored: Stored) -> StoredPolicy:
    body = stored.body
    policy = Policy.model_validate(body["policy"])
    return StoredPolicy(
        body["model"], body["version"], body["author"], datetime.fromisoformat(body["applied_at"]), policy
    )


def claim_body(claim: Claim) -> dict[str, Any]:
    body: dict[str, Any] = CLAIM.dump_python(replace(claim, revision=""), mode="json")
    return body | {"at": moment(claim.at)}


def read_claim(stored: Stored) -> Claim:
    return replace(CLAIM.validate_python(stored.body), revision=stored.revision)
