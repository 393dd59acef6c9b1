"""Evidence by the page: on every store, whatever comes between two writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.rollout.evidence import Evidence
from shared.rollout.observed import ArmMinute
from shared.store import evidence_pages
from shared.store.documents import Documents
from shared.store.evidence_pages import DIRECTORY, PAGE, PAGES, EvidencePages, Shard

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ONE = Shard()


def evidence(rollout: str, minutes: int = 0) -> Evidence:
    return Evidence(rollout, NOW, newer={"1": ArmMinute(10 + minutes)}, judged_until=NOW + timedelta(minutes=minutes))


def tick(
    pages: EvidencePages, rollouts: Sequence[str], minutes: int = 0, shard: Shard = ONE, now: datetime = NOW
) -> int:
    """What a tick does: every rollout's evidence is read and replaced; the number of pages."""
    places = pages.place(shard, rollouts, now)
    numbers = sorted(set(places.pages.values()))
    for page in pages.read(places, numbers):
        assert pages.write(page, {r: evidence(r, minutes) for r in page.rollouts})
    return len(numbers)


def names(count: int, since: int = 0) -> list[str]:
    return [f"r{number:05}" for number in range(since, since + count)]


def test_a_hundred_rollouts_are_one_page_and_one_more_is_another(documents: Documents) -> None:
    pages = EvidencePages(documents)
    assert [tick(pages, names(n)) for n in (1, PAGE, PAGE + 1, 5 * PAGE)] == [1, 1, 2, 5]
    assert pages.of("r00000") == evidence("r00000")
    assert pages.of("nobody") is None


def test_what_was_gathered_is_replaced_and_what_has_ended_is_dropped(documents: Documents) -> None:
    pages = EvidencePages(documents)
    tick(pages, names(3))
    tick(pages, names(2, since=1), minutes=1)
    assert [pages.of(r) for r in names(3)] == [None, evidence("r00001", 1), evidence("r00002", 1)]
    (page,) = documents.query(PAGES)
    assert sorted(page.body["rollouts"]) == ["r00001", "r00002"]


def test_the_directory_is_written_only_when_a_rollout_comes_or_goes(documents: Documents) -> None:
    pages = EvidencePages(documents)
    tick(pages, names(2))
    (before,) = documents.query(DIRECTORY)
    tick(pages, names(2), minutes=1)
    assert documents.query(DIRECTORY) == [before]
    tick(pages, names(1))
    assert documents.query(DIRECTORY) != [before]


def test_pages_that_have_become_sparse_are_filled_again_and_nothing_is_lost(documents: Documents) -> None:
    pages = EvidencePages(documents)
    assert tick(pages, names(10 * PAGE)) == 10
    left = names(10 * PAGE)[::10]
    counts = [tick(pages, left, minutes=n + 1) for n in range(12)]
    assert counts[-1] <= 2
    assert all(pages.of(r) == evidence(r, 12) for r in left)


def test_a_rollout_that_moves_brings_its_evidence_though_the_tick_is_killed_before_any_page(
    documents: Documents,
) -> None:
    pages = EvidencePages(documents)
    tick(pages, names(3 * PAGE))
    left = names(3 * PAGE)[:10] + names(3 * PAGE)[-10:]
    pages.place(ONE, left, NOW)  # the directory has moved some, and no page was written
    places = pages.place(ONE, left, NOW)
    found = {r: page.of(r) for page in pages.read(places, sorted(set(places.pages.values()))) for r in page.rollouts}
    assert found == {r: evidence(r) for r in left}
    assert pages.of(left[-1]) == evidence(left[-1])


def test_another_division_into_shards_takes_over_what_the_former_had(documents: Documents) -> None:
    pages = EvidencePages(documents)
    everyone = names(150)
    tick(pages, everyone)
    halves = [everyone[::2], everyone[1::2]]
    for number, half in enumerate(halves):
        places = pages.place(Shard(number, 2), half, NOW)
        for page in pages.read(places, sorted(set(places.pages.values()))):
            assert {r: page.of(r) for r in page.rollouts} == {r: evidence(r) for r in page.rollouts}
            pages.write(page, {r: evidence(r, 1) for r in page.rollouts})
    assert {r: pages.of(r) for r in everyone} == {r: evidence(r, 1) for r in everyone}


def test_a_division_that_is_not_used_any_more_is_removed_after_a_day(documents: Documents) -> None:
    pages = EvidencePages(documents)
    tick(pages, names(2))
    for number in range(2):
        tick(pages, [names(2)[number]], shard=Shard(number, 2))
    tick(pages, [*names(1), "late"], shard=Shard(0, 2), now=NOW + timedelta(hours=23))
    assert sorted(d.id for d in documents.query(DIRECTORY)) == ["0-of-1", "0-of-2", "1-of-2"]
    tick(pages, [*names(1), "later"], shard=Shard(0, 2), now=NOW + timedelta(hours=25))
    assert sorted(d.id for d in documents.query(DIRECTORY)) == ["0-of-2", "1-of-2"]
    assert sorted(d.id for d in documents.query(PAGES)) == ["0-of-2-0000", "1-of-2-0000"]


def test_of_two_ticks_at_once_the_second_leaves_its_page_alone(documents: Documents) -> None:
    pages = EvidencePages(documents)
    tick(pages, names(1))
    places = pages.place(ONE, names(1), NOW)
    (mine,), (theirs,) = pages.read(places, [0]), pages.read(places, [0])
    assert pages.write(theirs, {"r00000": evidence("r00000", 1)})
    assert not pages.write(mine, {"r00000": evidence("r00000", 2)})
    assert pages.of("r00000") == evidence("r00000", 1)


def test_a_rollout_that_two_ticks_place_at_once_waits_for_the_next(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, others = EvidencePages(documents), EvidencePages(documents)
    tick(pages, names(1))
    elsewhere = pages._elsewhere

    def meanwhile(*arguments: object) -> dict[str, str]:
        others.place(ONE, [*names(1), "theirs"], NOW)
        return elsewhere(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pages, "_elsewhere", meanwhile)
    assert list(pages.place(ONE, [*names(1), "mine"], NOW).pages) == names(1)


def test_a_page_that_becomes_too_large_is_divided_and_stays_so(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = EvidencePages(documents)
    tick(pages, names(40))
    monkeypatch.setattr(evidence_pages, "LARGEST", 500)
    for minutes in range(12):
        tick(pages, names(40), minutes)
    assert all(pages.of(r) == evidence(r, 11) for r in names(40))
    sizes = [len(page.body.get("packed", "")) for page in documents.query(PAGES)]
    assert 0 < max(sizes) <= 500
    count = len(sizes)
    tick(pages, names(40), 12)
    assert len(documents.query(PAGES)) == count


def test_a_page_that_is_too_large_to_be_readable_is_packed(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = EvidencePages(documents)
    monkeypatch.setattr(evidence_pages, "LARGEST", 5_000)
    tick(pages, names(40))
    (page,) = documents.query(PAGES)
    assert "rollouts" not in page.body
    assert all(pages.of(r) == evidence(r) for r in names(40))
    tick(pages, names(2), 1)
    (page,) = documents.query(PAGES)
    assert sorted(page.body["rollouts"]) == names(2)


def test_eleven_digits_are_kept_of_every_number(documents: Documents) -> None:
    pages = EvidencePages(documents)
    found = replace(evidence("r00000"), newer={"1": ArmMinute(1)}, error="1.2345678901234567")
    places = pages.place(ONE, names(1), NOW)
    pages.write(pages.read(places, [0])[0], {"r00000": found})
    kept = pages.of("r00000")
    assert kept is not None
    assert kept.error == "1.2345678901"
