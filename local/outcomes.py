"""What a demo must have shown, each judged on the facts and said in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.story import Facts
from shared.rollout.record import LedgerEntry, Phase


@dataclass(frozen=True)
class Outcome:
    """One expectation and what was found."""

    expected: str
    found: str
    is_met: bool


def judge_outcomes(facts: Facts) -> list[Outcome]:
    """Every expectation; a story that stopped half-way fails those that it did not reach."""
    return [judge(facts) for judge in _JUDGES]


def shares_of(facts: Facts, version: str) -> list[int]:
    """The shares that a version had, in order, from the ledger's traffic steps."""
    rollout = facts.rollouts.get(version)
    mine = [e for e in facts.ledger if rollout and e.rollout == rollout.id and e.traffic_after]
    return [(e.traffic_after or {}).get(rollout.deployed_id, 0) for e in mine] if rollout else []


def walk(shares: list[int]) -> str:
    return f"it had {', then '.join(f'{share} %' for share in shares)}" if shares else "it had no traffic"


def split_of(split: Mapping[str, int]) -> str:
    return ", ".join(f"v{version} {share} %" for version, share in sorted(split.items())) or "nobody has traffic"


def _aliased(has: Mapping[str, str]) -> str:
    return ", ".join(f"{alias} v{version}" for alias, version in sorted(has.items())) or "no aliases"


def _rollback_of(facts: Facts, version: str) -> LedgerEntry | None:
    rollout = facts.rollouts.get(version)
    return next(
        (
            e
            for e in facts.ledger
            if rollout and e.rollout == rollout.id and e.decision == "roll_back" and e.actor == "roll_back"
        ),
        None,
    )


def _registered_once(facts: Facts) -> Outcome:
    runs = [v.labels.get("vr-run", "") for v in facts.versions]
    good = len(runs) == 4 and len(set(runs)) == 4 and all(runs)
    return Outcome(
        "four training runs are four versions, although one message came twice",
        f"{len(runs)} versions of {len(set(runs))} runs",
        good,
    )


def _first_version(facts: Facts) -> Outcome:
    shares = shares_of(facts, "1")
    return Outcome("v1, the first of its model, takes all the traffic", walk(shares), shares == [100])


def _good_version(facts: Facts) -> Outcome:
    shares = shares_of(facts, "2")
    return Outcome("v2 walks 10, 50, 100 % and is promoted", walk(shares), shares == [10, 50, 100])


def _bad_version(facts: Facts) -> Outcome:
    shares, entry = shares_of(facts, "3"), _rollback_of(facts, "3")
    rollout = facts.rollouts.get("3")
    good = shares == [10, 0] and rollout is not None and rollout.phase is Phase.ROLLED_BACK and entry is not None
    # The analysis or Monitoring's incident: whichever sees it first says what was observed and what the limit is.
    by_analysis = (
        entry is not None and ">" in entry.sentence and ("error_rate" in entry.sentence or "tokens" in entry.sentence)
    )
    names_number = by_analysis or (entry is not None and "observed" in entry.sentence and "limit" in entry.sentence)
    found = entry.sentence if entry else "it was not rolled back"
    return Outcome("v3 is rolled back at 10 %, with the reason in numbers", found, good and names_number)


def _incident(facts: Facts) -> Outcome:
    shares, entry = shares_of(facts, "4"), _rollback_of(facts, "4")
    by_monitoring = entry is not None and "5xx" in entry.sentence and "limit" in entry.sentence
    found = entry.sentence if entry else "it was not rolled back"
    return Outcome(
        "v4 is promoted, degrades, and an incident gives its traffic back",
        found,
        shares == [10, 50, 100, 0] and by_monitoring,
    )


def _heir(facts: Facts) -> Outcome:
    return Outcome("v2 has all the traffic again", split_of(facts.split), facts.split == {"2": 100})


def sound_splits(facts: Facts, least: int = 6) -> Outcome:
    unsound = [s for s in facts.splits if not s["sound"]]
    moved = len({str(s["traffic_split"]) for s in facts.splits})
    found = f"{len(facts.splits)} changes of the endpoint looked at, {moved} different splits, {len(unsound)} of them unsound"
    return Outcome(
        "at every moment the split sums to 100 over models that can serve",
        found,
        bool(facts.splits) and not unsound and moved >= least,
    )


def nothing_lost(facts: Facts, *versions: str) -> Outcome:
    sound = {v.version: sum(v.errors.values()) for v in facts.served if v.version in versions}
    requests = sum(v.requests for v in facts.served) + facts.unanswered
    good = bool(sound) and not any(sound.values()) and not facts.unanswered
    who = " and ".join(f"v{version}" for version in versions)
    found = f"of {requests} predictions, {who} failed {sum(sound.values())} and {facts.unanswered} reached no model"
    return Outcome("no prediction is lost while traffic shifts", found, good)


def _aliases(facts: Facts) -> Outcome:
    has = {alias: v.version for v in facts.versions for alias in v.aliases}
    wanted = {"champion": "2", "default": "2", "previous": "1"}
    return Outcome("aliases follow: champion and default are v2, nobody is candidate", _aliased(has), has == wanted)


def _told(facts: Facts) -> Outcome:
    ids = [e.id for e in facts.ledger]
    twice = sum(1 for n in facts.notices.values() if n > 1)
    transitions = [e for e in facts.ledger if e.decision in ("advance", "promote", "roll_back")]
    untold = [e.id for e in transitions if e.id not in facts.notices]
    found = (
        f"{len(ids)} entries; {len(facts.notices)} were told by signed webhook, {twice} of them twice; "
        f"{len(untold)} changes of traffic were not told"
    )
    return Outcome(
        "every transition is in the ledger once and told",
        found,
        len(ids) == len(set(ids)) and not untold and not facts.forged,
    )


def _dead_letter(facts: Facts) -> Outcome:
    return Outcome(
        "a message that is nonsense is kept in the dead letters, once",
        f"{facts.dead_letters} kept",
        facts.dead_letters == 1,
    )


def _tidy(facts: Facts) -> Outcome:
    return Outcome(
        "machines that nobody needs are given back",
        f"still deployed: v{', v'.join(facts.deployed) or '-'}",
        facts.deployed == ("2",),
    )


_JUDGES: tuple[Callable[[Facts], Outcome], ...] = (
    _registered_once,
    _first_version,
    _good_version,
    _bad_version,
    _incident,
    _heir,
    sound_splits,
    lambda facts: nothing_lost(facts, "1", "2"),
    _aliases,
    _told,
    _dead_letter,
    _tidy,
)
