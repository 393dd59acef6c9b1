"""Gathered evidence as documents: a hundred rollouts to a page, so that a tick writes one document for a hundred rollouts.

A directory says on which page each rollout is. It is written before the pages, and only when a rollout comes, goes or moves: one that it names
and its page lacks is new, or is still where the directory says that it came from. Ticks that are divided into shards have a directory and
pages for each shard; what another division had gathered is taken over.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any

from shared.errors import ConflictError
from shared.rollout.evidence import EVIDENCE, Evidence
from shared.rollout.record import SCHEMA
from shared.store.documents import Create, Documents, Replace, Stored

PAGE = 100
"""Rollouts on a page."""
LARGEST = 900_000
"""Characters on a page; a document has at most 1 MiB."""
PAGES, DIRECTORY = "evidence", "evidence_places"
_FORGOTTEN = timedelta(days=1)
"""After which pages of a division that is no longer used are removed."""
_DIGITS = re.compile(r"(\.0*\d{10})\d+")
"""Behind eleven digits evidence says nothing, and a third of a record is digits. The dot is searched for as a letter is, twice as fast as
a digit before it."""


@dataclass(frozen=True)
class Shard:
    """Which part of the rollouts a tick looks at."""

    number: int = 0
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"


@dataclass(frozen=True)
class Places:
    """On which page of a shard each rollout is."""

    shard: Shard
    pages: Mapping[str, int] = field(default_factory=dict)
    revision: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    """The id of the page that a rollout has come from, by rollout: another division's, or one that was given up."""
    room: int = PAGE
    """Rollouts on a page; fewer once a page has become too large."""

    def on(self, page: int) -> list[str]:
        """The rollouts of a page."""
        return [rollout for rollout, place in self.pages.items() if place == page]


@dataclass(frozen=True)
class Page:
    """One page as it was read, with what its rollouts bring from where they were."""

    shard: Shard
    number: int
    rollouts: Sequence[str]
    stored: Stored | None = None
    brought: Mapping[str, str] = field(default_factory=dict)

    def of(self, rollout: str) -> Evidence | None:
        """What was gathered for one rollout."""
        text = self.texts.get(rollout) or self.brought.get(rollout)
        return EVIDENCE.validate_json(text) if text else None

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """What the page itself has, by rollout."""
        return _texts(self.stored)


class EvidencePages:
    """Reads and writes them."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def of(self, rollout: str) -> Evidence | None:
        """The evidence of one rollout, whichever division has it; the newest if several have."""
        directories = [p for d in self._documents.query(DIRECTORY) if rollout in (p := _places(d)).pages]
        pages = [page for places in directories for page in self.read(places, [places.pages[rollout]])]
        found = [evidence for page in pages if (evidence := page.of(rollout))]
        return max(found, key=_newest, default=None)

    def place(self, shard: Shard, rollouts: Sequence[str], now: datetime) -> Places:
        """A place for each of these rollouts and for no other.

        When another tick records places at the same moment, what is new waits for the next tick.
        """
        stored = self._documents.get(DIRECTORY, str(shard))
        before = _places(stored) if stored else Places(shard)
        kept = {rollout: before.pages[rollout] for rollout in rollouts if rollout in before.pages}
        origins = {rollout: page for rollout, page in before.origins.items() if rollout in kept}
        missing = [rollout for rollout in rollouts if rollout not in kept]
        sparse = _sparse(kept, before.room)
        if not missing and not sparse and len(kept) == len(before.pages):
            return before
        if missing:
            origins |= self._elsewhere(shard, missing, now)
        for rollout in sparse:
            origins[rollout] = _page_id(shard, kept.pop(rollout))
        pages = kept | dict(zip([*sparse, *missing], _rooms(kept, before.room), strict=False))
        try:
            return self._record(replace(before, pages=pages, origins=origins), now)
        except ConflictError:
            return replace(before, pages={r: before.pages[r] for r in rollouts if r in before.pages})

    def read(self, places: Places, numbers: Sequence[int]) -> list[Page]:
        """Some pages at once, and what rollouts that are not on them yet had before."""
        ids = {number: _page_id(places.shard, number) for number in numbers}
        found = {page.id: page for page in self._documents.get_all(PAGES, list(ids.values()))}
        pages = [Page(places.shard, number, places.on(number), found.get(id_)) for number, id_ in ids.items()]
        lacking = {r: places.origins[r] for p in pages for r in p.rollouts if r in places.origins and r not in p.texts}
        brought: dict[str, str] = {}
        for origin in self._documents.get_all(PAGES, sorted(set(lacking.values()))) if lacking else ():
            brought |= {r: text for r, text in _texts(origin).items() if lacking.get(r) == origin.id}
        return [replace(p, brought={r: brought[r] for r in p.rollouts if r in brought}) for p in pages]

    def write(self, page: Page, evidence: Mapping[str, Evidence]) -> bool:
        """Put what a tick has gathered, and drop what is no longer looked at; False if another tick was first.

        Then it is left alone: what it lacks is gathered by the next tick, and nothing is counted twice.
        """
        texts = page.texts
        after = {r: t for r in page.rollouts if (t := texts.get(r) or page.brought.get(r))}
        after |= {r: _text(found) for r, found in evidence.items()}
        if after == texts:
            return True
        body = _page_body(after)
        if _size(body) > LARGEST:
            return self._split(page, after)
        try:
            if page.stored is None:
                self._documents.create(PAGES, _page_id(page.shard, page.number), body)
            else:
                self._documents.replace(PAGES, page.stored.id, body, page.stored.revision)
        except ConflictError:
            return False
        return True

    def _split(self, page: Page, texts: Mapping[str, str]) -> bool:
        """Half of a page that has become too large goes to another one, in one commit with the directory."""
        stored = self._documents.get(DIRECTORY, str(page.shard))
        if stored is None or len(texts) < 2:
            return False
        places = _places(stored)
        last = max(places.pages.values(), default=0)
        ids = [_page_id(page.shard, number) for number in range(last + 1, last + 10)]
        taken = {
            found.id for found in self._documents.get_all(PAGES, ids)
        }  # given up, but a rollout may still come from there
        other = next((number for number, id_ in enumerate(ids, last + 1) if id_ not in taken), None)
        if other is None:
            return False
        names = list(texts)
        stay, go = names[: len(names) // 2], names[len(names) // 2 :]
        bodies = [_page_body({r: texts[r] for r in half}) for half in (stay, go)]
        here = _page_id(page.shard, page.number)
        moved = dict(places.pages) | dict.fromkeys(go, other)
        after = replace(places, pages=moved, room=min(places.room, len(names) * 3 // 4))
        try:
            self._documents.commit(
                [
                    Replace(DIRECTORY, stored.id, _directory(after, stored.body["at"]), stored.revision),
                    Replace(PAGES, here, bodies[0], page.stored.revision)
                    if page.stored
                    else Create(PAGES, here, bodies[0]),
                    Create(PAGES, _page_id(page.shard, other), bodies[1]),
                ]
            )
        except ConflictError:
            return False
        return True

    def _record(self, places: Places, now: datetime) -> Places:
        body = _directory(places, now.isoformat())
        if places.revision:
            revision = self._documents.replace(DIRECTORY, str(places.shard), body, places.revision)
        else:
            revision = self._documents.create(DIRECTORY, str(places.shard), body)
        return replace(places, revision=revision)

    def _elsewhere(self, shard: Shard, rollouts: Iterable[str], now: datetime) -> dict[str, str]:
        """Where another division has these rollouts; a division that was left long ago is removed."""
        wanted, found = set(rollouts), dict[str, str]()
        for stored in self._documents.query(DIRECTORY):
            places = _places(stored)
            if places.shard.of == shard.of:
                continue
            if (
                shard.number == 0
                and now - datetime.fromisoformat(stored.body["at"]) > _FORGOTTEN
                and not wanted & set(places.pages)
            ):
                for number in sorted(set(places.pages.values())):
                    self._documents.delete(PAGES, _page_id(places.shard, number))
                self._documents.delete(DIRECTORY, stored.id)
                continue
            found |= {r: _page_id(places.shard, n) for r, n in places.pages.items() if r in wanted}
        return found


def _rooms(pages: Mapping[str, int], room: int) -> Iterator[int]:
    """Page numbers with room, the lowest first, without end: what comes fills up what went, so pages do not grow sparse."""
    sizes = Counter(pages.values())
    for number in count():
        for _ in range(sizes[number], room):
            yield number


def _sparse(pages: Mapping[str, int], room: int) -> list[str]:
    """The rollouts of the last page, when there are more pages than are needed: they move to earlier ones, a page a tick."""
    last = max(pages.values(), default=0)
    if len(set(pages.values())) <= -(-len(pages) // room) + 1:
        return []
    return [rollout for rollout, page in pages.items() if page == last]


def _newest(evidence: Evidence) -> tuple[bool, datetime]:
    return evidence.judged_until is not None, evidence.judged_until or evidence.stage_since


def _text(evidence: Evidence) -> str:
    # As text: a document database keeps an index entry for every number otherwise.
    return "".join(_DIGITS.split(EVIDENCE.dump_json(evidence).decode()))


def _texts(stored: Stored | None) -> dict[str, str]:
    if stored is None:
        return {}
    packed = stored.body.get("packed")
    found = json.loads(zlib.decompress(base64.b64decode(packed))) if packed else stored.body["rollouts"]
    return dict(found)


def _page_body(texts: Mapping[str, str]) -> dict[str, Any]:
    """Readable as it is; packed where that would be too large for a document."""
    if sum(map(len, texts.values())) <= LARGEST:
        return {"rollouts": dict(texts), "schema": SCHEMA}
    packed = zlib.compress(_json(texts).encode(), level=1)
    return {"packed": base64.b64encode(packed).decode(), "schema": SCHEMA}


def _size(body: Mapping[str, Any]) -> int:
    return len(body["packed"]) if "packed" in body else sum(map(len, body["rollouts"].values()))


def _page_id(shard: Shard, number: int) -> str:
    return f"{shard}-{number:04d}"


def _directory(places: Places, at: str) -> dict[str, Any]:
    # As text too: ten thousand entries of a map would be as many index entries.
    body = {"pages": _json(places.pages), "origins": _json(places.origins), "room": places.room}
    return body | {"at": at, "schema": SCHEMA}


def _json(mapping: Mapping[str, Any]) -> str:
    return json.dumps(mapping, separators=(",", ":"))


def _places(stored: Stored) -> Places:
    number, _, of = stored.id.split("-")
    pages, origins = (json.loads(stored.body[name]) for name in ("pages", "origins"))
    return Places(Shard(int(number), int(of)), pages, stored.revision, origins, stored.body["room"])
