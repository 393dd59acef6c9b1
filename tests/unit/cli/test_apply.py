"""``rollouts apply``: a version per change, with its author and time; nothing when something is wrong."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from shared.policy.loading import load_policy
from shared.wiring import store_from_env
from tests.unit.cli.conftest import Rollouts
from tests.unit.policy.files import EXAMPLES, HEAD


def test_each_change_is_a_version_and_the_same_content_is_none(rollouts: Rollouts, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(HEAD, encoding="utf-8")
    assert rollouts("apply", "p.yaml", "--author", "a@b").out == "churn: version 1 (new), by a@b\n"
    file.write_text(f"# only a comment\n{HEAD}", encoding="utf-8")
    assert rollouts("apply", "p.yaml", "--author", "c@d").out.startswith("churn: version 1, unchanged since ")
    file.write_text(HEAD + "mode: observe\n", encoding="utf-8")
    assert rollouts("apply", "p.yaml", ROLLOUTS_AUTHOR="c@d").out == "churn: version 2 (was 1), by c@d\n"
    with closing(store_from_env({"STORE_PATH": str(tmp_path / "store.db")})) as store:
        present, first = store.policy("churn"), store.policy("churn", 1)
    assert present is not None
    assert first is not None
    assert (present.version, present.author, present.policy) == (2, "c@d", load_policy(file))
    assert (first.author, first.policy.mode) == ("a@b", "enforce")


def test_open_rollouts_keep_their_version_and_it_is_said_how_they_get_the_new_one(
    morning: Rollouts, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text(HEAD, encoding="utf-8")
    first, *more = morning("apply", "p.yaml", "--author", "a@b").out.splitlines()
    assert first.startswith("churn: version ")
    assert more
    assert all("keeps version 1; `rollouts set-policy churn-v" in line for line in more)


def test_the_shipped_policies_are_applied_and_told_as_json(rollouts: Rollouts) -> None:
    ran = rollouts("apply", "--json", "--author", "a@b", EXAMPLES)
    told = [(one["model"], one["version"], one["changed"], one["author"]) for one in json.loads(ran.out)["applied"]]
    assert told == [("arr-coc-relevance", 1, True, "a@b"), ("churn-tabular", 1, True, "a@b")]


def test_one_mistake_keeps_all_files_from_being_stored(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(HEAD.replace("churn", "risk") + "mode: watch\n", encoding="utf-8")
    ran = rollouts("apply", "a.yaml", "b.yaml", "--author", "a@b")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "b.yaml:5: mode: 'watch' is not one of the choices; allowed: enforce, observe\n"
    assert not (tmp_path / "store.db").exists()
    assert json.loads(rollouts("apply", "--json", "b.yaml").out)["problems"][0]["line"] == 5


def test_an_endpoint_of_a_stored_policy_is_refused_to_another(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(HEAD.replace("model: churn", "model: risk"), encoding="utf-8")
    assert rollouts("apply", "a.yaml", "--author", "a@b").code == 0
    ran = rollouts("apply", "b.yaml", "--author", "a@b")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("not applied: endpoint us-central1/churn-serving belongs to the policy of churn")


def test_without_an_author_nothing_is_stored(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD, encoding="utf-8")
    ran = rollouts("apply", "a.yaml")
    assert ran.code == 1
    assert ran.err == (
        "not applied: nobody is named as the author; give --author me@example.com, or set ROLLOUTS_AUTHOR\n"
    )
    assert not (tmp_path / "store.db").exists()


def test_git_knows_who_somebody_is(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD, encoding="utf-8")
    (tmp_path / ".gitconfig").write_text("[user]\n\temail = me@example.com\n", encoding="utf-8")
    assert rollouts("apply", "a.yaml").out == "churn: version 1 (new), by me@example.com\n"


def test_the_time_is_that_of_the_system(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD, encoding="utf-8")
    ran = rollouts("apply", "--json", "--author", "a@b", "a.yaml", CLOCK_ORIGIN="0", CLOCK_RATE="2")
    assert int(json.loads(ran.out)["applied"][0]["applied_at"][:4]) >= 2080  # 1970, and twice the years since
