"""The waiting of messages, with the time given by the test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.pubsub.backlog import Backlog
from local.pubsub.message import Message
from local.pubsub.rules import Backoff, Rules

PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(10.0, Backoff(10.0, 600.0), timedelta(days=7), None, None)


def backlog_of(*ids: str) -> Backlog:
    backlog = Backlog()
    for message_id in ids:
        backlog.add(Message(message_id, PUBLISHED, b"x"), ready_at=0.0)
    return backlog


def take(backlog: Backlog, now: float = 0.0, limit: int = 10) -> list[str]:
    return [lease.ack_id for lease in backlog.take(limit, now, now + 10.0, PUBLISHED)]


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 10), (2, 20), (6, 320), (7, 600), (100, 600)])
def test_the_wait_doubles_up_to_its_maximum(attempt: int, seconds: float) -> None:
    assert Backoff(10.0, 600.0).after(attempt) == seconds


def test_the_wait_is_compressed_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_RATE", "100")
    backlog = backlog_of("1")
    (ack_id,) = take(backlog)
    pending = backlog.refuse(ack_id)
    assert pending is not None
    backlog.retry(pending, RULES, now=5.0)
    assert backlog.next_at() == pytest.approx(5.1)


def test_messages_are_handed_out_in_order_and_no_more_than_asked() -> None:
    backlog = backlog_of("1", "2", "3")
    assert [lease.pending.message.message_id for lease in backlog.take(2, 0.0, 10.0, PUBLISHED)] == ["1", "2"]
    assert (backlog.waiting, backlog.outstanding) == (1, 2)


def test_a_lease_that_is_not_settled_in_time_ends() -> None:
    backlog = backlog_of("1")
    take(backlog)
    assert list(backlog.overdue(9.9)) == []
    (pending,) = backlog.overdue(10.0)
    assert pending.message.message_id == "1"
    assert (backlog.outstanding, backlog.counts.deadline_exceeded) == (0, 1)


def test_an_extended_lease_ends_later() -> None:
    backlog = backlog_of("1")
    (ack_id,) = take(backlog)
    backlog.extend(ack_id, 60.0)
    assert list(backlog.overdue(59.0)) == []
    assert backlog.next_at() == 60.0


def test_an_acknowledgement_that_comes_late_does_nothing() -> None:
    backlog = backlog_of("1")
    (ack_id,) = take(backlog)
    list(backlog.overdue(10.0))
    assert not backlog.acknowledge(ack_id)
    assert backlog.refuse(ack_id) is None
    assert (backlog.counts.acknowledged, backlog.counts.nacked) == (0, 0)


def test_a_message_older_than_the_retention_is_dropped() -> None:
    backlog = backlog_of("1")
    assert backlog.take(10, 0.0, 10.0, forget_before=PUBLISHED + timedelta(seconds=1)) == []
    assert (backlog.waiting, backlog.counts.expired, backlog.counts.delivered) == (0, 1, 0)


def test_nothing_is_due_for_a_subscriber_without_room() -> None:
    backlog = backlog_of("1", "2")
    take(backlog, limit=1)
    assert backlog.next_at(room=True) == 0.0
    assert backlog.next_at(room=False) == 10.0
