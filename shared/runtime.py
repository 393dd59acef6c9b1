"""The boundary of every function: decode, correlate, log, and turn errors into acknowledge or retry.

What a Pub/Sub push answers decides what happens: a return acknowledges, an exception brings the message again. So what can never succeed
is logged once, kept in the dead letters with its reason, and acknowledged; what may succeed later is raised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from io import BytesIO
from typing import IO, TYPE_CHECKING

from shared import log, topics
from shared.errors import NotYetError, PermanentError, StaleEventError, TransientError
from shared.events.message import Ignored, Message, parse_message
from shared.events.schedule import Tick, parse_tick
from shared.process import put_garbage_off
from shared.wiring import World

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent
    from flask import Request

MAX_AGE = timedelta(hours=24)
"""An event older than this is dropped with a line; ticks have long done what it asked for."""
HINT_AGE = timedelta(minutes=10)
"""The same for a tick and for a hint that something may be due: later ones have come since. Less than their attempts take, so that an outage
leaves none of them among the dead letters."""
LARGEST_BODY = 256 * 1024
"""Bytes of a request; an incident of Cloud Monitoring has a few thousand."""

put_garbage_off()  # before the server makes its worker


def handle(
    world: World,
    name: str,
    cloud_event: CloudEvent,
    act: Callable[[Message], object],
    max_age: timedelta | None = MAX_AGE,
) -> None:
    """Do what the message of a Pub/Sub push asks for: a return acknowledges it, an exception brings it again.

    ``max_age`` is None for what must outlast every outage, such as an alert.
    """
    started = time.perf_counter()
    _join_trace()
    message: Message | None = None
    with ExitStack() as labels:
        labels.enter_context(log.labelled(function=name, event=str(cloud_event.get("id") or "")))
        try:
            message = parse_message(cloud_event.get_attributes(), cloud_event.get_data())
            labels.enter_context(log.labelled(correlation=message.attributes.get("correlation_id", message.id)))
            if max_age is not None:
                refuse_stale(world, message, max_age)
            act(message)
            log.info(f"{name} done", milliseconds=round((time.perf_counter() - started) * 1000))
        except StaleEventError as exc:
            log.warning(f"{name} dropped an event: {exc}")
        except PermanentError as exc:
            log.error(f"{name} cannot handle this event and keeps it in the dead letters: {exc}")
            _keep(world, name, message, cloud_event, exc)
        except NotYetError as exc:
            log.info(f"{name} will look again: {exc}")
            raise
        except TransientError as exc:
            log.warning(f"{name} will try again: {exc}")
            raise
        except Exception as exc:
            log.error(f"{name} failed in a way nobody foresaw and will try again: {type(exc).__name__}: {exc}")
            raise


def handle_tick(world: World, job: str, cloud_event: CloudEvent, act: Callable[[World], object]) -> None:
    """Do the job that a message of the schedule names; another's is acknowledged without a word.

    The subscription filters on it already, but Google's emulator ignores filters. A tick that waited for minutes is dropped: the next
    one is due by then.
    """
    handle_shard(world, job, cloud_event, lambda world, _: act(world))


def handle_shard(world: World, job: str, cloud_event: CloudEvent, act: Callable[[World, Tick], object]) -> None:
    """The same for a job that may be divided: the tick says which part is meant."""

    def act_if_ours(message: Message) -> None:
        tick = parse_tick(message)
        refuse_stale(world, message, HINT_AGE)
        if tick.job == job:
            act(world, tick)

    handle(world, job, cloud_event, act_if_ours, max_age=None)


@contextmanager
def request(name: str, request: Request) -> Iterator[bytes]:
    """The logging of a function that is called over HTTPS and answers by itself; its body, to ``LARGEST_BODY`` and one byte more.

    Taken at once and for everybody: a chunked request names no length, and the Functions Framework reads what is left of a request, to
    whatever end, once it is answered.
    """
    body = _read(request.stream, LARGEST_BODY + 1)
    request.stream = BytesIO(body)
    _join_trace()
    with log.labelled(function=name):
        try:
            yield body
        except Exception as exc:
            log.error(f"{name} failed in a way nobody foresaw: {type(exc).__name__}: {exc}")
            raise


def is_json(request: Request) -> bool:
    """Whether a request is said to be JSON, or not said to be anything: a form that a browser sends from anywhere is not."""
    return not request.mimetype or request.mimetype == "application/json" or request.mimetype.endswith("+json")


def _read(stream: IO[bytes], most: int) -> bytes:
    """What can be read; what is no body at all (chunks without lengths, a connection that ends early) is answered with 400."""
    from werkzeug.exceptions import BadRequest

    try:
        return b"".join(_pieces(stream, most))
    except Exception:  # noqa: BLE001 - every server has errors of its own for it
        raise BadRequest("the body of the request cannot be read") from None


def _pieces(stream: IO[bytes], most: int) -> Iterator[bytes]:
    """What can be read, piece by piece: a network gives less than it is asked for."""
    while most and (piece := stream.read(most)):
        most -= len(piece)
        yield piece


def ignore(found: Ignored) -> None:
    """Understood, and nothing to do."""
    log.info(f"ignored: {found.reason}")


def keep_request(world: World, name: str, data: bytes, reason: PermanentError, topic: str) -> None:
    """Keep a request that cannot be understood, as events are kept; a redrive brings it to the ``topic`` that it was meant for."""
    log.error(f"{name} cannot handle this request and keeps it in the dead letters: {reason}")
    why = {"function": name, "reason": _cut(str(reason)), "topic": f"projects/{world.project}/topics/{topic}"}
    world.publisher.publish(topics.DEAD_LETTERS, data or b"{}", **why)


def refuse_stale(world: World, message: Message, max_age: timedelta) -> None:
    """StaleEventError if the message has waited too long.

    After it was read, where an age is short: nonsense is kept among the dead letters, however long it has waited in a crowd.
    """
    age = world.now() - message.published_at
    if age > max_age:
        raise StaleEventError(
            f"published {message.published_at:%Y-%m-%d %H:%M} UTC, {age} ago; events older than {max_age} decide nothing"
        )


def _keep(world: World, name: str, message: Message | None, cloud_event: CloudEvent, reason: PermanentError) -> None:
    """Into the dead letters, with the reason; raised as transient if even that fails, so that nothing is lost."""
    why = {
        "function": name,
        "reason": _cut(str(reason)),
        "topic": (message.topic or "") if message else "",
        "message_id": message.id if message else str(cloud_event.get("id") or ""),
    }
    # Its own attributes too: a redrive publishes what was published.
    attributes = {**(message.attributes if message else {}), **why}
    world.publisher.publish(topics.DEAD_LETTERS, message.data if message and message.data else b"{}", **attributes)


def _cut(text: str) -> str:
    """As an attribute, which has at most 1024 bytes."""
    return text.encode()[:900].decode(errors="ignore")


def _join_trace() -> None:
    import flask

    if flask.has_request_context():
        log.set_trace(flask.request.headers.get("X-Cloud-Trace-Context"))
