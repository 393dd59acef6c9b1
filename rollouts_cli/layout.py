"""Tables that fit: columns that may go, and a sentence that takes a line of its own where it has no room.

An id is never cut, since somebody will copy it; a table that is still too wide without what may go stays too wide. In a pipe every row
is one whole line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from rollouts_cli.console import Part, printable

GAP = 2
ROOM = 40
"""A sentence with fewer columns than this is put on a line of its own."""
INDENT = 4


@dataclass(frozen=True)
class Column:
    """A column by its title."""

    title: str
    style: str = ""
    drop: int = 0
    """Above 0: left out where the table is too wide, the smallest number first."""


@dataclass(frozen=True)
class Row:
    """One row; its sentence may be cut or wrapped, its cells never."""

    cells: tuple[Part, ...]
    sentence: str


@dataclass(frozen=True)
class Table:
    """Rows under titles; the title of the sentence is the last one."""

    columns: Sequence[Column]
    sentence: str
    rows: Sequence[Row]
    wrap: bool = False
    """Whether a sentence that is too long goes on in the next line; otherwise it ends in an ellipsis."""

    def lines(self, width: int | None) -> Iterator[Sequence[Part]]:
        """The lines, none longer than ``width`` if that can be."""
        widths = [
            max(cell_len(column.title), *(cell_len(_text(row.cells[i])) for row in self.rows))
            for i, column in enumerate(self.columns)
        ]
        kept = self._kept(widths, width)
        taken = sum(widths[i] + GAP for i in kept)
        beside = width is None or width - taken >= ROOM
        head: list[Part] = [(_pad(self.columns[i].title, widths[i]), "dim") for i in kept]
        yield _stripped([*head, (self.sentence if beside else "", "dim")])
        for row in self.rows:
            cells = [self._cell(row, i, widths[i]) for i in kept]
            if beside:
                first, *others = self._fold(row.sentence, None if width is None else width - taken)
                yield _stripped([*cells, first])
                yield from ([" " * taken + other] for other in others)
            else:
                yield _stripped(cells)
                folded = self._fold(row.sentence, (width or 0) - INDENT)
                yield from ([" " * INDENT + part] for part in folded if part)

    def _kept(self, widths: Sequence[int], width: int | None) -> list[int]:
        kept = list(range(len(self.columns)))
        for i in sorted((i for i in kept if self.columns[i].drop), key=lambda i: self.columns[i].drop):
            if width is None or sum(widths[k] + GAP for k in kept) - GAP <= width:
                break
            kept.remove(i)
        return kept

    def _cell(self, row: Row, i: int, width: int) -> Part:
        cell = row.cells[i]
        style = cell[1] if isinstance(cell, tuple) else self.columns[i].style
        return _pad(_text(cell), width), style

    def _fold(self, sentence: str, room: int | None) -> list[str]:
        return fold(sentence, room) if self.wrap else [cut(sentence, room)]


def fold(text: str, room: int | None) -> list[str]:
    """The text in lines of at most ``room`` columns; at least one line."""
    text = printable(text)
    return [text] if room is None else textwrap.wrap(text, max(room, 10), break_on_hyphens=False) or [""]


def cut(text: str, room: int | None) -> str:
    """The text, or its beginning and an ellipsis."""
    text = printable(text)
    return text if room is None or cell_len(text) <= room else text[: room - 1].rstrip() + "…"


def _text(cell: Part) -> str:
    return printable(cell if isinstance(cell, str) else cell[0])


def _pad(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text) + GAP)


def _stripped(parts: list[Part]) -> list[Part]:
    """Without spaces at the end of the line."""
    while parts and not _text(parts[-1]).strip():
        parts = parts[:-1]
    if parts:
        last = parts[-1]
        parts = [*parts[:-1], last.rstrip() if isinstance(last, str) else (last[0].rstrip(), last[1])]
    return parts
