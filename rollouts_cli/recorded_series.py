"""Recorded counts per tick and arm, from CSV or JSON: what ``rollouts judge`` reads.

A row is one arm in one tick: ``tick, arm, requests, bad`` and, where there are several, ``metric``. Rows may come in any order; a row that
comes again is not counted again. A tick in which any count runs backwards (a restarted counter) is dropped for all arms of its metric.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.errors import PermanentError

COLUMNS = ("tick", "arm", "requests", "bad")
METRIC = "error_rate"
"""The metric of rows that name none."""


@dataclass(frozen=True)
class Row:
    """One arm in one tick."""

    tick: str
    arm: str
    metric: str
    requests: int
    bad: int


@dataclass(frozen=True)
class Series:
    """What was recorded, in order."""

    arms: tuple[str, ...]
    """In the order in which the file first names them."""
    metrics: tuple[str, ...]
    ticks: tuple[str, ...]
    counts: Mapping[tuple[str, str], Mapping[str, tuple[int, int]]]
    """By (tick, metric): by arm (requests, bad)."""
    repeated: int
    """Rows that had been counted."""
    dropped: tuple[str, ...]
    """Ticks of which some metric was dropped."""


def read_series(file: Path) -> Series:
    """The series in a file; an error names the row and what it should be."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    given = _from_json(file, text) if file.suffix == ".json" else _from_csv(file, text)
    rows = [_row(file, number, one) for number, one in given]
    if not rows:
        raise PermanentError(f"{file} holds no rows; each needs {', '.join(COLUMNS)}")
    return _series(file, rows)


def _from_csv(file: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise PermanentError(f"{file}:1: no column {', '.join(missing)}; the columns are {', '.join(COLUMNS)}, metric")
    for row in reader:
        yield reader.line_num, row


def _from_json(file: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise PermanentError(f"{file}:{error.lineno}: {error.msg}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PermanentError(f"{file}: not a list of objects with the keys {', '.join(COLUMNS)}")
    yield from enumerate(rows, 1)


def _row(file: Path, number: int, given: Mapping[str, Any]) -> Row:
    try:
        tick, arm = (str(given[name]).strip() for name in ("tick", "arm"))
        requests, bad = (_count(given[name]) for name in ("requests", "bad"))
    except KeyError as error:
        raise PermanentError(f"{file}:{number}: no {error.args[0]}; a row has {', '.join(COLUMNS)}") from None
    except ValueError as error:
        raise PermanentError(f"{file}:{number}: {error}") from None
    if not tick or not arm:
        raise PermanentError(f"{file}:{number}: an empty tick or arm; name both")
    return Row(tick, arm, str(given.get("metric") or METRIC).strip(), requests, bad)


def _count(value: Any) -> int:
    try:
        number = float(value)
        if isinstance(value, bool) or number != int(number):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is no count; give a whole number") from None
    return int(number)


def _series(file: Path, rows: list[Row]) -> Series:
    arms = tuple(dict.fromkeys(row.arm for row in rows))
    if len(arms) < 2:
        raise PermanentError(f"{file} has one arm, {arms[0]}; a comparison needs two or more")
    metrics = tuple(dict.fromkeys(row.metric for row in rows))
    counts: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    repeated, broken = 0, set()
    for row in rows:
        cell = counts.setdefault((row.tick, row.metric), {})
        if row.arm in cell:
            repeated += 1
            continue
        cell[row.arm] = row.requests, row.bad
        if not 0 <= row.bad <= row.requests:
            broken.add((row.tick, row.metric))
    ticks = _in_order(dict.fromkeys(row.tick for row in rows))
    kept = {key: cell for key, cell in counts.items() if key not in broken}
    dropped = {tick for tick, _ in broken}
    return Series(arms, metrics, ticks, kept, repeated, tuple(tick for tick in ticks if tick in dropped))


def _in_order(ticks: Iterable[str]) -> tuple[str, ...]:
    """By number where all are numbers, by time where all are times, else as they come."""
    names = list(ticks)
    for key in (float, _time):
        try:
            return tuple(sorted(names, key=key))
        except ValueError:
            continue
    return tuple(names)


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
