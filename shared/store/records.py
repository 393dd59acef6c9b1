"""Records as documents: what the store gives out, and how each is written and read back.

Functions are replaced one by one, and sometimes put back, while rollouts are under way: so a record may be of the version before (what it lacks
has a default) or of the next one. Of that, what this version does not know is left out; what it cannot read at all waits for the upgrade.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from shared import log
from shared.errors import TransientError
from shared.rollout.index import IndexedVersion
from shared.rollout.observed import TargetRef
from shared.rollout.record import LEDGER_ENTRY, ROLLOUT, SCHEMA, LedgerEntry, Rollout
from shared.rollout.stops import Stopped
from shared.store.documents import Create, Stored, Write

if TYPE_CHECKING:
    from shared.policy.schema import Policy

Record = TypeVar("Record")


class UnreadableError(TransientError):
    """A record of a later version that this one cannot read."""


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
    importing_until: datetime | None = None
    """Until then the evaluation is left to the delivery that wrote this."""
    revision: str = ""
    schema: int = SCHEMA


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
    return _read(ROLLOUT, body | {"target": vars(target)}, f"rollout {stored.id}")


@dataclass(frozen=True)
class Unsettled:
    """Rollouts as they are stored; a tick that is divided counts them, and reads its share."""

    _stored: Sequence[Stored]

    def __len__(self) -> int:
        return len(self._stored)

    def read(self, only: Callable[[str], bool] | None = None) -> list[StoredRollout]:
        """Those whose id is wanted, in the same order; all by default."""
        wanted = self._stored if only is None else [stored for stored in self._stored if only(stored.id)]
        return list(readable(lambda stored: StoredRollout(read_rollout(stored), stored.revision), wanted))


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
    return _read(LEDGER_ENTRY, stored.body, f"ledger entry {stored.id}")


def read_notice(stored: Stored) -> Notice:
    body = stored.body
    return Notice(
        stored.id, body["rollout"], datetime.fromisoformat(body["at"]), tuple(body["channels"]), stored.revision
    )


def read_policy(stored: Stored) -> StoredPolicy:
    """One by itself, as an event reads it, often several times."""
    return _stored_policy(stored, _once_valid)


def read_each_policy(stored: Stored) -> StoredPolicy:
    """One of many: a tick reads thousands, and what is remembered of the first would be forgotten before it is read again."""
    return _stored_policy(stored, _valid)


def _stored_policy(stored: Stored, valid: Callable[[dict[str, Any]], Policy]) -> StoredPolicy:
    body = stored.body
    policy = _read_policy(body["policy"], f"version {body['version']} of the policy of {body['model']}", valid)
    return StoredPolicy(
        body["model"], body["version"], body["author"], datetime.fromisoformat(body["applied_at"]), policy
    )


def claim_body(claim: Claim) -> dict[str, Any]:
    body: dict[str, Any] = _adapter(Claim).dump_python(replace(claim, revision=""), mode="json")
    return body | {"at": moment(claim.at)}


def read_claim(stored: Stored) -> Claim:
    claim: Claim = _read(_adapter(Claim), stored.body, f"claim {stored.id}")
    return replace(claim, revision=stored.revision)


def readable(read: Callable[[Stored], Record], found: Iterable[Stored]) -> Iterator[Record]:
    """Those that can be read: one record of a later version must not stop all others."""
    for stored in found:
        try:
            yield read(stored)
        except UnreadableError as exc:
            log.error(f"left alone: {exc}")


@lru_cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Built when a record of the kind is first met; most functions never meet it."""
    return TypeAdapter(kind)


def _read(adapter: TypeAdapter[Record], body: dict[str, Any], what: str) -> Record:
    try:
        return adapter.validate_python(body)
    except ValidationError as exc:
        raise UnreadableError(_why(exc, what)) from None


def _why(exc: ValidationError, what: str) -> str:
    places = ", ".join(".".join(map(str, error["loc"])) for error in exc.errors(include_url=False)[:3])
    return f"{what} cannot be read by this version ({places}); it waits for the upgrade"


def _read_policy(body: dict[str, Any], what: str, valid: Callable[[dict[str, Any]], Policy]) -> Policy:
    """A key that is not known was known to whoever applied the policy: it is left out, and that is said."""
    try:
        return valid(body)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
    unknown = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    try:
        policy = _valid(_without(body, unknown))
    except ValidationError as exc:
        raise UnreadableError(_why(exc, what)) from None
    _say_left_out(what, ", ".join(sorted(".".join(map(str, place)) for place in unknown)))
    return policy


def _valid(body: dict[str, Any]) -> Policy:
    from shared.policy.schema import Policy  # a rollback reads none, and should not wait until it is imported

    return Policy.model_validate(body)


def _once_valid(body: dict[str, Any]) -> Policy:
    return _valid_text(json.dumps(body))


@lru_cache(maxsize=256)
def _valid_text(text: str) -> Policy:
    """A version of a policy cannot change: the same text is checked once per process."""
    return _valid(json.loads(text))


@lru_cache(maxsize=256)
def _say_left_out(what: str, keys: str) -> None:
    """Once per process."""
    log.warning(f"{what} has keys that this version does not know and leaves out: {keys}")


def _without(value: Any, places: list[tuple[int | str, ...]]) -> Any:
    """A copy without what is at these places; parts of a place that are no key, such as the kind of a stage, are passed over."""
    if isinstance(value, list):
        return [_without(item, [p[1:] for p in places if p and p[0] == at]) for at, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    here = [p if p and p[0] in value else p[1:] for p in places]
    gone = {p[0] for p in here if len(p) == 1}
    return {k: _without(item, [p[1:] for p in here if p and p[0] == k]) for k, item in value.items() if k not in gone}


def stop_body(stop: Stopped) -> dict[str, Any]:
    body: dict[str, Any] = _adapter(Stopped).dump_python(stop, mode="json")
    return body


def read_stop(stored: Stored) -> Stopped:
    stop: Stopped = _read(_adapter(Stopped), stored.body, f"the freeze of {stored.id}")
    return stop


def version_body(version: IndexedVersion) -> dict[str, Any]:
    body: dict[str, Any] = _adapter(IndexedVersion).dump_python(version, mode="json")
    return body


def read_version(stored: Stored) -> IndexedVersion:
    version: IndexedVersion = _read(_adapter(IndexedVersion), stored.body, f"the index entry {stored.id}")
    return version
