"""The filter grammar on series identities."""

from __future__ import annotations

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.metrics import Resource
from vertex_emulator.monitoring.filter import parse, series_filter
from vertex_emulator.monitoring.series import SeriesId

SERIES = SeriesId.of(
    "run.googleapis.com/count",
    {"code": "503", "model": "7"},
    Resource("cloud_run_revision", {"service": "roll-back", "location": "us-central1"}),
)
TYPE = 'metric.type = "run.googleapis.com/count"'


@pytest.mark.parametrize(
    ("terms", "selected"),
    [
        ("", True),
        ('AND resource.type = "cloud_run_revision"', True),
        ('resource.type="global"', False),
        ('AND metric.labels.code = "503"', True),
        ('AND metric.label.code = "503"', True),
        ('AND metric.label."code"="503"', True),
        ("AND metric.labels.code = 503", True),
        ("AND metric.labels.code = '503'", True),
        ('AND metric.labels.code != "503"', False),
        ('AND metric.labels.absent != "503"', True),
        ('AND metric.labels.absent = ""', True),
        ('AND metric.labels.code = one_of("500", "503")', True),
        ('AND metric.labels.code != one_of("500", "503")', False),
        ('AND metric.labels.code = starts_with("5")', True),
        ('AND metric.labels.code = starts_with("4")', False),
        ('AND metric.labels.code = ends_with("03")', True),
        ('AND resource.labels.service = has_substring("ll-b")', True),
        ('AND resource.labels.service : "ll-b"', True),
        ('AND resource.labels.service = monitoring.regex.full_match("roll-(back|out)")', True),
        ('AND resource.labels.service = monitoring.regex.full_match("roll")', False),
        ("AND metric.labels.code >= 500 AND metric.labels.code < 600", True),
        ("AND metric.labels.model > 7", False),
        ('AND NOT metric.labels.code = "503"', False),
        ('AND -metric.labels.code = "404"', True),
        ('AND (metric.labels.code = "404" OR metric.labels.model = "7")', True),
        ('AND metric.labels.model = "8" OR metric.labels.code = "503"', True),
        ('AND (metric.labels.model = "8" AND metric.labels.code = "503" OR metric.labels.code = "1")', False),
        ('AND metadata.user_labels.team = "search"', False),
    ],
)
def test_terms_select_or_not(terms: str, selected: bool) -> None:
    assert series_filter(f"{TYPE} {terms}").matches(SERIES) is selected


def test_or_binds_tighter_than_and() -> None:
    expression = parse('a = "1" AND b = "1" OR c = "1"')
    assert expression.matches({"a": "1", "b": "0", "c": "1"}.__getitem__)
    assert not expression.matches({"a": "0", "b": "1", "c": "1"}.__getitem__)


def test_escaped_quotes_are_part_of_the_value() -> None:
    assert parse(r'a = "say \"x\""').matches(lambda _: 'say "x"')


@pytest.mark.parametrize(
    "text",
    [
        "",
        'metric.type = starts_with("run.googleapis.com/")',
        f"NOT {TYPE}",
        f'{TYPE} AND metric.type = "b.googleapis.com/c"',
        f'{TYPE} OR resource.type = "global"',
        f"{TYPE} AND",
        f"{TYPE} AND metric.labels.code",
        f"{TYPE} AND metric.labels.code =",
        f"{TYPE} AND metric.labels.code = )",
        f'{TYPE} AND metric.labels.code = nearly("5")',
        f'{TYPE} AND metric.labels.code > one_of("5")',
        f'{TYPE} AND metric.labels.code = one_of("5"',
        f"({TYPE}",
        f"{TYPE})",
        f'{TYPE} AND "code" = 5',
        f'{TYPE} AND metric.labels.code = "open',
        f'{TYPE} AND project = "p"',
    ],
)
def test_what_is_no_series_filter_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="Field filter had an invalid value"):
        series_filter(text)
