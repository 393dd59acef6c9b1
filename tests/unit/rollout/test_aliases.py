"""Aliases are a projection of the records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.aliases import OURS, AliasChange, desired_aliases, plan_aliases
from shared.rollout.observed import ModelVersion
from shared.rollout.record import Phase, Rollout
from tests.unit.rollout.worlds import HOUR, NOW, rollout


def of(version: int, phase: Phase, target: int = 0) -> Rollout:
    """A rollout that had its last shift at an hour that tells its version."""
    at = NOW + version * HOUR
    return rollout(phase, version=str(version), target_index=target, created_at=at, phase_since=at, stage_since=at)


def version(number: int, *aliases: str) -> ModelVersion:
    return ModelVersion("shop", "us-central1", "churn", str(number), aliases)


def test_before_anything_is_promoted_there_is_only_a_candidate() -> None:
    for phase in (Phase.QUEUED, Phase.DEPLOYING, Phase.CANARY):
        assert desired_aliases([of(1, phase)], 1) == {"candidate": "1"}


def test_default_follows_the_champion_and_the_one_before_is_previous() -> None:
    records = [of(1, Phase.PROMOTED), of(2, Phase.WATCHING), of(3, Phase.CANARY)]
    assert desired_aliases(records, 1) == {"champion": "2", "previous": "1", "default": "2", "candidate": "3"}


def test_the_candidate_is_cleared_when_nothing_is_on_trial() -> None:
    assert "candidate" not in desired_aliases([of(1, Phase.PROMOTED), of(2, Phase.FAILED)], 1)


def test_of_several_on_trial_the_newest_is_the_candidate() -> None:
    assert desired_aliases([of(3, Phase.QUEUED), of(2, Phase.CANARY)], 1) == {"candidate": "3"}


def test_a_rollback_moves_the_champion_back() -> None:
    before = [of(1, Phase.PROMOTED), of(2, Phase.PROMOTED), of(3, Phase.WATCHING)]
    assert desired_aliases(before, 1)["champion"] == "3"
    after = [*before[:2], of(3, Phase.ROLLED_BACK)]
    assert desired_aliases(after, 1) == {"champion": "2", "previous": "1", "default": "2"}


def test_the_champion_moves_when_the_last_target_is_promoted() -> None:
    old = [of(1, Phase.PROMOTED, 0), of(1, Phase.PROMOTED, 1)]
    half = [*old, of(2, Phase.WATCHING, 0), of(2, Phase.CANARY, 1)]
    assert desired_aliases(half, 2) == {"champion": "1", "default": "1", "candidate": "2"}
    whole = [*old, of(2, Phase.PROMOTED, 0), of(2, Phase.WATCHING, 1)]
    assert desired_aliases(whole, 2) == {"champion": "2", "previous": "1", "default": "2"}
    stopped = [*old, of(2, Phase.PROMOTED, 0), of(2, Phase.REJECTED, 1)]
    assert desired_aliases(stopped, 2) == {"champion": "1", "default": "1"}


def test_a_target_added_later_does_not_take_the_alias_from_the_champion() -> None:
    assert desired_aliases([of(1, Phase.PROMOTED, 0)], 2)["champion"] == "1"


def test_a_target_removed_later_does_not_either() -> None:
    assert desired_aliases([of(1, Phase.PROMOTED, 0), of(1, Phase.FAILED, 1)], 1)["champion"] == "1"


def test_an_alias_moves_by_being_given_and_is_removed_where_nobody_is_to_have_it() -> None:
    seen = [version(1, "champion", "default", "golden"), version(2, "candidate"), version(3)]
    wanted = {"champion": "2", "previous": "1", "default": "2"}
    assert plan_aliases(wanted, seen) == [
        AliasChange(seen[0], ("previous",), ()),
        AliasChange(seen[1], ("champion", "default"), ("candidate",)),
    ]


def test_default_is_never_removed_and_goes_back_to_the_champion_if_an_upload_took_it() -> None:
    seen = [version(1, "champion"), version(2, "default")]
    assert plan_aliases({"champion": "1", "default": "1"}, seen) == [AliasChange(seen[0], ("default",), ())]
    assert plan_aliases({}, [version(1, "default")]) == []


ALIASES = st.sampled_from(OURS)


@given(
    st.lists(st.sampled_from("123"), min_size=4, max_size=4),
    st.dictionaries(ALIASES, st.sampled_from("123"), max_size=4),
)
def test_the_planned_calls_make_it_so_and_are_then_no_more(holders: list[str], wanted: dict[str, str]) -> None:
    has = dict(zip(OURS, holders, strict=True))
    seen = [version(int(v), *(a for a in OURS if has[a] == v), "golden") for v in "123"]
    for change in plan_aliases(wanted, seen):
        # As MergeVersionAliases does it: what is given moves, what is removed is gone.
        has |= dict.fromkeys(change.add, change.version.version)
        has = {a: v for a, v in has.items() if not (a in change.remove and v == change.version.version)}
    assert {a: v for a, v in has.items() if a != "default" or a in wanted} == wanted
    assert "default" in has
    after = [version(int(v), *(a for a in OURS if has.get(a) == v), "golden") for v in "123"]
    assert plan_aliases(wanted, after) == []
