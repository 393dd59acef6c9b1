"""Every function is in the table of what is deployed, and what the table says is what its code says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.declared import HOW, declared, differences
from infra.package import ROOT, functions
from infra.table import HTTPS, SCHEDULE, Row, TableError, load_table, topics
from local.cloud import JOBS, ROUTES
from shared import topics as known
from tests.infra.test_deployed import CLIENTS

TABLE = load_table()
KNOWN_PERMISSIONS = frozenset(json.loads((ROOT / "tests" / "data" / "permissions.json").read_text())["permissions"])


def test_the_table_says_what_the_code_says() -> None:
    assert list(differences(ROOT, TABLE)) == []


@pytest.mark.parametrize("name", functions(ROOT))
def test_a_function_has_a_runbook_entry_and_a_list_of_the_clients_that_it_loads(name: str) -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    assert f"\n### {name}\n" in runbook, f"docs/runbook.md has no section '### {name}'; {HOW}"
    assert name in CLIENTS, f"CLIENTS in tests/infra/test_deployed.py does not say which clients {name} loads; {HOW}"


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_permission_exists(name: str) -> None:
    unknown = TABLE[name].granted - KNOWN_PERMISSIONS
    assert not unknown, (
        f"{name}: {sorted(unknown)} is no permission in tests/data/permissions.json; correct the name, or add it there with its source"
    )


def test_roll_back_can_neither_deploy_nor_delete() -> None:
    of_vertex = {one for one in TABLE["roll_back"].granted if one.startswith("aiplatform.")}
    assert of_vertex == {"aiplatform.endpoints.get", "aiplatform.endpoints.update"}
    assert declared(ROOT, "roll_back") & of_vertex == of_vertex


def test_only_the_one_that_raises_shares_can_deploy_and_only_those_that_clear_away_can_undeploy() -> None:
    can = {
        verb: {n for n, row in TABLE.items() if f"aiplatform.endpoints.{verb}" in row.granted}
        for verb in ("deploy", "undeploy", "delete", "predict")
    }
    # A rollout removes its own shadow before it deploys; nobody but the mirror asks a model anything.
    clearing = {"advance_rollout", "retire_models"}
    assert can == {
        "deploy": {"advance_rollout"},
        "undeploy": clearing,
        "delete": clearing,
        "predict": {"mirror_request"},
    }


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.wakes_on != HTTPS], ids=lambda row: row.name)
def test_a_function_is_woken_in_the_cloud_as_on_one_machine(row: Row) -> None:
    assert row.name in ROUTES, f"ROUTES in local/cloud.py does not wake {row.name}; {HOW}"
    route = ROUTES[row.name]
    assert (route.topic, route.attempts) == (row.wakes_on, row.attempts)
    assert f"{route.maximum_backoff.total_seconds():g}s" == row.backoff
    assert route.filter == (f'attributes.job = "{row.name}"' if row.wakes_on == SCHEDULE else "")


def test_the_schedule_in_the_cloud_is_that_on_one_machine() -> None:
    minutes = {row.name: row.every for row in TABLE.values() if row.wakes_on == SCHEDULE}
    assert set(minutes) == {job.name for job in JOBS}, f"JOBS in local/cloud.py and infra/functions.yaml differ; {HOW}"
    for job in JOBS:
        every = job.every.total_seconds() / 60
        short = {1.0: "* * * * *", 60.0: "0 * * * *", 1440.0: "0 0 * * *"}
        assert minutes[job.name] == short.get(every, f"*/{every:g} * * * *"), job.name


def test_the_topics_are_those_that_the_code_knows() -> None:
    assert topics(TABLE) == set(known.ALL)


def test_the_longest_account_fits_into_what_google_allows() -> None:
    assert all(len(f"vrxxx-{row.service}") <= 30 for row in TABLE.values())


def test_a_misspelt_key_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    table = tmp_path / "functions.yaml"
    table.write_text("act:\n  does: something\n  wake_on: schedule\n")
    with pytest.raises(TableError, match=r"act: 'wake_on' is not known; known are .*wakes_on"):
        load_table(table)
    table.write_text("act:\n  does: something\n")
    with pytest.raises(TableError, match="act: wakes_on is missing"):
        load_table(table)
