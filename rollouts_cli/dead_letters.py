"""The dead letters: what no handler could take, with its reason, and publishing it again.

Two kinds arrive on the topic. A handler that finds a message it can never use publishes it with the reason (attributes ``function``,
``reason``, ``topic``, ``message_id``: shared/runtime.py). Pub/Sub itself moves a message that was never acknowledged (attributes
``CloudPubSubDeadLetterSource...``: docs, "Dead-letter topics"), and names the subscription but not the topic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared import topics
from shared.errors import NotFoundError, PermanentError
from shared.gapic.errors import translated

SUBSCRIPTION = topics.DEAD_LETTERS
"""The subscription that keeps them is called like the topic."""
REDRIVE_OF = "redrive_of"
"""The attribute of a message that was published again: the id of the original."""
REDRIVES = "redrives"
"""How often it was; who redrives what nobody mended sees it come back with a higher number."""
_OURS = ("function", "reason", "topic", "message_id")
_PUBSUBS = "CloudPubSubDeadLetterSource"
_PULL_SECONDS = 5
"""A pull that brings nothing within this time has brought everything."""
_AT_ONCE = 100
_LONGEST = 600
"""Seconds, the most there are: a thousand take longer than the subscription's minute."""


@dataclass(frozen=True)
class DeadLetter:
    """One message that was given up."""

    id: str
    """Of the message among the dead letters; what the commands take."""
    original: str
    """Id of the message as it was first published, where that is known."""
    at: datetime
    function: str
    """Who could not take it."""
    topic: str
    """Full name of where it came from; empty where nothing says."""
    reason: str
    data: bytes
    attributes: dict[str, str]
    """Those it had when it was first published, as far as they were kept."""
    ack_id: str

    @property
    def redrives(self) -> int:
        """How often it was published again before it came here."""
        count = self.attributes.get(REDRIVES, "")
        return int(count) if count.isdecimal() and len(count) < 9 else 0


@dataclass(frozen=True)
class Choice:
    """Which of them are meant: these, or all of a function."""

    ids: tuple[str, ...] = ()
    function: str = ""

    def takes(self, letter: DeadLetter) -> bool:
        """Whether this one is meant."""
        return letter.id in self.ids or (not self.ids and letter.function == self.function)


@dataclass(frozen=True)
class Outcome:
    """What became of one that was chosen."""

    id: str
    letter: DeadLetter | None
    """None where there is no such dead letter."""
    why_not: str = ""
    """Empty when it is done."""


class DeadLetters:
    """The dead letters of one project."""

    def __init__(self, project: str) -> None:
        from google.pubsub_v1.services.publisher import PublisherClient
        from google.pubsub_v1.services.publisher.transports.grpc import PublisherGrpcTransport
        from google.pubsub_v1.services.subscriber import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports.grpc import SubscriberGrpcTransport

        self._project = project
        with _translated(project):
            self._publisher: Any = PublisherClient(transport=PublisherGrpcTransport)
            self._subscriber: Any = SubscriberClient(transport=SubscriberGrpcTransport)
        self._topics: dict[str, str] = {}

    def close(self) -> None:
        """Let go of the connections."""
        self._publisher.transport.close()
        self._subscriber.transport.close()

    def look(self, limit: int, wanted: Collection[str] = ()) -> list[DeadLetter]:
        """Up to ``limit`` of them, oldest first, or until the ``wanted`` ones are found; all of them stay."""
        with self._held(limit, wanted) as letters:
            return sorted(letters, key=lambda one: (one.at, one.id))

    def redrive(self, choice: Choice, limit: int) -> Iterator[Outcome]:
        """Publish each that was chosen again to the topic it came from, then acknowledge it here.

        In this order: a crash in between leaves both, and a handler that gets an event twice does nothing the second time.
        """
        return self._settle(choice, limit, self._publish_again)

    def discard(self, choice: Choice, limit: int) -> Iterator[Outcome]:
        """Acknowledge each that was chosen: nobody will see it again."""
        return self._settle(choice, limit, lambda _: "")

    def _settle(self, choice: Choice, limit: int, act: Callable[[DeadLetter], str]) -> Iterator[Outcome]:
        """Each as it is done; those of which ``act`` says why it cannot be done stay."""
        with self._held(limit, choice.ids) as letters:
            looked_at = len(letters)
            self._set_deadline(letters, _LONGEST)
            missing = set(choice.ids) - {one.id for one in letters}
            for letter in sorted(letters, key=lambda one: (one.at, one.id)):
                if not choice.takes(letter):
                    continue
                if why := act(letter):
                    yield Outcome(letter.id, letter, why)
                    continue
                # Off the list first: what is acknowledged must not be given back, even if the answer is lost.
                letters.remove(letter)
                self._subscriber.acknowledge(subscription=self._name(SUBSCRIPTION), ack_ids=[letter.ack_id], timeout=20)
                yield Outcome(letter.id, letter)
            for id_ in sorted(missing):
                yield Outcome(id_, None, f"there is no dead letter {id_} among the {looked_at} that were looked at")

    def _publish_again(self, letter: DeadLetter) -> str:
        if not letter.topic:
            return f"dead letter {letter.id} came to {letter.function or 'nobody known'} from no topic; send it again where it came from"
        again = {REDRIVE_OF: letter.original or letter.id, REDRIVES: str(letter.redrives + 1)}
        message = {"data": letter.data, "attributes": letter.attributes | again}
        self._publisher.publish(topic=letter.topic, messages=[message], timeout=20)
        return ""

    @contextmanager
    def _held(self, limit: int, wanted: Collection[str] = ()) -> Iterator[list[DeadLetter]]:
        """The messages, up to the last of the ``wanted`` ones if there are any, handed out to nobody else meanwhile.

        They are given back at the end, but for those taken off the list.
        """
        letters: dict[str, DeadLetter] = {}
        with _translated(self._project):
            held: list[DeadLetter] | None = None
            try:
                while len(letters) < limit and not (wanted and letters.keys() >= set(wanted)):
                    if not (received := self._pull(min(limit - len(letters), _AT_ONCE))):
                        break
                    letters |= {one.message.message_id: self._letter(one) for one in received}
                held = list(letters.values())
                yield held
            finally:
                self._set_deadline(letters.values() if held is None else held, 0)

    def _pull(self, limit: int) -> Sequence[Any]:
        from google.api_core.exceptions import DeadlineExceeded

        with suppress(DeadlineExceeded):  # Pub/Sub's way to say that there is nothing
            answer = self._subscriber.pull(
                subscription=self._name(SUBSCRIPTION), max_messages=limit, timeout=_PULL_SECONDS, retry=None
            )
            return list(answer.received_messages)
        return []

    def _set_deadline(self, letters: Iterable[DeadLetter], seconds: int) -> None:
        """For how long nobody else gets them; 0 gives them back."""
        ack_ids = [one.ack_id for one in letters]
        for start in range(0, len(ack_ids), _AT_ONCE):
            self._subscriber.modify_ack_deadline(
                subscription=self._name(SUBSCRIPTION),
                ack_ids=ack_ids[start : start + _AT_ONCE],
                ack_deadline_seconds=seconds,
                timeout=20,
            )

    def _letter(self, received: Any) -> DeadLetter:
        message = received.message
        given = dict(message.attributes)
        from_pubsub = given.get(f"{_PUBSUBS}Subscription", "")
        function = from_pubsub.replace("-", "_") if from_pubsub else given.get("function", "")
        if from_pubsub:
            deliveries = given.get(f"{_PUBSUBS}DeliveryCount", "?")
            reason = f"{function} did not take it in {deliveries} deliveries; its log says why"
            attributes = {k: v for k, v in given.items() if not k.startswith(_PUBSUBS)}
            topic = self._topic_of(from_pubsub)
        else:
            reason = given.get("reason", "no reason was kept")
            attributes = {k: v for k, v in given.items() if k not in _OURS}
            topic = given.get("topic", "") or self._topic_of(function.replace("_", "-"))
        if topic.endswith(f"/{topics.SCHEDULE}"):
            # A job is what its subscription filters on, and is called like its function.
            attributes.setdefault("job", function)
        return DeadLetter(
            id=message.message_id,
            original="" if from_pubsub else given.get("message_id", ""),
            at=message.publish_time.astimezone(UTC).replace(microsecond=0),
            function=function,
            topic=topic,
            reason=reason,
            data=message.data,
            attributes=attributes,
            ack_id=received.ack_id,
        )

    def _topic_of(self, subscription: str) -> str:
        """The topic of a subscription; empty if there is no such subscription any more, or it has lost its topic."""
        from google.api_core.exceptions import NotFound

        if subscription and subscription not in self._topics:
            topic = ""
            with suppress(NotFound):
                found = self._subscriber.get_subscription(subscription=self._name(subscription), timeout=20)
                topic = "" if found.topic == "_deleted-topic_" else found.topic
            self._topics[subscription] = topic
        return self._topics.get(subscription, "")

    def _name(self, subscription: str) -> str:
        return f"projects/{self._project}/subscriptions/{subscription}"


@contextmanager
def _translated(project: str) -> Iterator[None]:
    """Google's errors as ours."""
    try:
        with translated(f"dead letters of project {project}"):
            yield
    except NotFoundError as exc:
        raise PermanentError(f"{exc}; is GOOGLE_CLOUD_PROJECT the project of the functions?") from None
