"""Which versions are deleted, over every mixture of what protects one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from shared.policy.schema import Retention
from shared.rollout.observed import ModelVersion
from shared.rollout.retention import AT_ONCE, plan_deletions

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def version(number: int, *aliases: str, days: int = 400) -> ModelVersion:
    return ModelVersion("p", "us-central1", "m", str(number), aliases, {}, "", NOW - timedelta(days=days))


def test_what_is_deployed_aliased_needed_young_or_among_the_newest_stays() -> None:
    retention = Retention(keep=2, after=timedelta(days=90))
    for aliased, deployed, needed, young in itertools.product([False, True], repeat=4):
        old = version(1, *(["pinned"] if aliased else []), days=10 if young else 400)
        found = plan_deletions(
            retention, [old, version(2), version(10)], {"1"} if deployed else {}, {"1"} if needed else {}, NOW
        )
        assert [v.version for v in found] == ([] if aliased or deployed or needed or young else ["1"])


def test_the_last_one_stays_and_a_tick_deletes_few() -> None:
    assert plan_deletions(Retention(keep=1), [version(1)], set(), set(), NOW) == []
    found = plan_deletions(Retention(keep=1), [version(n) for n in range(1, 30)], set(), set(), NOW)
    assert [v.version for v in found] == [str(n) for n in range(1, AT_ONCE + 1)]
