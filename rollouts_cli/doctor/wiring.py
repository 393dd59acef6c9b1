"""Subscriptions and dead letters, through Pub/Sub's own client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from rollouts_cli.dead_letters import DeadLetters
from rollouts_cli.doctor.finding import Finding, Health
from rollouts_cli.doctor.google import APPLY
from rollouts_cli.doctor.table import Deployed
from shared.errors import NotFoundError
from shared.gapic.errors import translated

SUBSCRIPTIONS, DEAD_LETTERS = "subscriptions", "dead letters"
_LOOKED_AT = 100


def subscriptions(project: str, table: Sequence[Deployed]) -> Iterator[Finding]:
    """Whether every function is woken, by the right topic, for long enough, and loses nothing."""
    from google.pubsub_v1.services.subscriber import SubscriberClient
    from google.pubsub_v1.services.subscriber.transports.grpc import SubscriberGrpcTransport

    with translated(f"a Pub/Sub client for {project}"):
        client: Any = SubscriberClient(transport=SubscriberGrpcTransport)
    pushed = [row for row in table if row.is_pushed]
    with closing(client.transport):
        wrong = [(row, said) for row in pushed for said in _wrong(client, project, row)]
    for row, said in wrong:
        yield Finding(SUBSCRIPTIONS, Health.BROKEN, f"{row.service}: {said}", APPLY)
    if not wrong:
        yield Finding(SUBSCRIPTIONS, Health.OK, f"{len(pushed)} wake their functions, and keep what these cannot take")


def _wrong(client: Any, project: str, row: Deployed) -> Iterator[str]:
    name = f"projects/{project}/subscriptions/{row.service}"
    try:
        with translated(f"reading {name}"):
            found = client.get_subscription(subscription=name, timeout=20)
    except NotFoundError:
        yield "is missing, so nothing wakes the function"
        return
    topic = found.topic.rpartition("/")[2]
    if topic != row.wakes_on:
        yield f"hears {topic}, not {row.wakes_on}"
    wanted = f'attributes.job = "{row.name}"' if row.wakes_on == "schedule" else ""
    if found.filter != wanted:
        yield f"has the filter {found.filter or 'none'}, not {wanted or 'none'}"
    if not found.push_config.push_endpoint:
        yield "pushes nowhere"
    if found.ack_deadline_seconds <= row.timeout:
        yield f"delivers again after {found.ack_deadline_seconds} s, while the function may work for {row.timeout} s"
    if not found.dead_letter_policy.dead_letter_topic:
        yield "has no dead letters: a message that fails for ever is delivered for ever"


def dead_letters(project: str) -> Iterator[Finding]:
    """Whether messages were given up."""
    with closing(DeadLetters(project)) as dead:
        letters = dead.look(_LOOKED_AT)
    if letters:
        many = f"{len(letters)}{' or more' if len(letters) == _LOOKED_AT else ''}"
        oldest = letters[0]
        said = f"{many}; the oldest, of {oldest.at:%Y-%m-%d %H:%M}, from {oldest.function or 'nobody known'}: {oldest.reason}"
        yield Finding(DEAD_LETTERS, Health.ODD, said, "rollouts dead-letters list")
    else:
        yield Finding(DEAD_LETTERS, Health.OK, "there are none")
