"""The status page as people use it: watched, acted on, by keyboard, on a phone, in the dark, and without JavaScript."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.browser.conftest import PHONE, WIDE, Town
from tests.functional.functions import test_experiment as experiment
from tests.functional.functions.policies import STAGES, judged

PICTURES = os.environ.get("PICTURES", "")
"""A folder for screenshots; empty: none are taken."""
ASKING = {"stages": [STAGES[0], {"traffic": 50, "bake": "5m", "approval": {}}, STAGES[2]]}


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def begin(town: Town, **changes: Any) -> None:
    """Version 2 has a tenth of the traffic."""
    town.cloud.apply(judged(**changes))
    town.cloud.deploy("run-1")
    town.cloud.minutes(3)
    town.cloud.deploy("run-2")


def test_a_rollout_is_watched_from_its_first_share_to_its_rollback(town: Town) -> None:
    begin(town)
    with town.visit() as page:
        page.goto(town.rollout("2"))
        assert page.locator("h1 .chip").inner_text().endswith("canary")
        assert page.locator('.steps [aria-current="step"] .name').inner_text() == "10 %"
        town.cloud.minutes(10)
        page.get_by_text("50 %", exact=True).first.wait_for()
        page.locator(
            '.steps [aria-current="step"]', has_text="50 %"
        ).wait_for()  # without a reload: it refreshes itself
        town.cloud.minutes(6, errors={"2": 0.3})
        page.locator("h1 .chip", has_text="rolled back").wait_for()
        assert town.cloud.split() == {"1": 100}
        assert "is rolled back" in page.locator("#said").inner_text()  # told to who does not see it
        assert page.locator(".timeline .ring").count() == 1
        assert str(page.locator("text.end-bad").text_content()).startswith("rolled back")
        assert page.locator(".steps .step-ended .detail").inner_text() == "ended here"
        assert page.locator(".verdict.is-fail").count() == 1
        assert page.get_by_role("link", name="Abort").count() == 0
        picture(page, "page-rolled-back")


def test_a_stage_is_approved_and_a_rollout_aborted_by_form(town: Town) -> None:
    begin(town, rollout=ASKING)
    town.cloud.minutes(10)
    with town.visit() as page:
        page.goto(f"{town.url}/")
        card = page.locator(".card.asks")
        assert "50 % waits for approval" in card.inner_text()
        card.get_by_role("link").click()
        page.get_by_role("link", name="Approve").click()
        page.get_by_label("Why").fill("seen enough")
        picture(page, "page-asks")
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("The approval is recorded").wait_for()
        town.cloud.settle()
        page.locator('.steps [aria-current="step"]', has_text="50 %").wait_for()
        assert town.cloud.split() == {"1": 50, "2": 50}
        page.locator("#do-abort").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Why").wait_for()
        page.get_by_label("Why").press("Tab")
        page.keyboard.press("Enter")
        page.get_by_text("its traffic goes back at once").wait_for()
        town.cloud.settle()
        page.locator("h1 .chip", has_text="rolled back").wait_for()
    assert town.cloud.split() == {"1": 100}
    said = [entry.sentence for entry in town.cloud.ledger("2")]
    assert "ann@example.com approved 50 % for v2: seen enough" in said
    assert "ann@example.com aborts v2" in said


def test_without_javascript_everything_is_there_and_acts(town: Town) -> None:
    begin(town)
    with town.visit(java_script_enabled=False) as page:
        page.goto(town.rollout("2"))
        assert page.locator("svg.timeline").count() == 1
        page.get_by_role("link", name="Pause").click()
        page.get_by_role("button", name="Pause").click()
        assert page.locator(".banner.good").inner_text() == "It is paused."
        assert page.locator("h1 .chip").inner_text().endswith("paused")
    hold = town.cloud.rollout("2").hold
    assert hold is not None and hold.by == "ann@example.com"


def test_who_types_or_opens_something_is_not_disturbed_by_the_refresh(town: Town) -> None:
    begin(town)
    with town.visit() as page:
        page.goto(town.rollout("2"))
        page.get_by_text("What else may happen").click()
        page.locator("#do-pause").focus()
        before = page.locator("footer time").first.get_attribute("datetime")
        town.cloud.minutes(7)
        page.locator(".verdict.is-pass").wait_for()
        assert page.locator("details#otherwise").get_attribute("open") is not None
        assert page.evaluate("document.activeElement.id") == "do-pause"
        assert before


def test_every_page_is_accessible_in_both_themes_at_both_widths(town: Town) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    found: dict[str, Any] = {}
    with town.visit() as page:
        page.goto(f"{town.url}/")
        found["empty"] = axe.run(page).response["violations"]
    begin(town, rollout=ASKING)
    town.cloud.minutes(10)
    id_, first = town.cloud.rollout("2").id, town.cloud.rollout("1").id
    paths = ("/", f"/rollouts/{id_}", f"/rollouts/{first}", f"/rollouts/{id_}/approve", "/models", "/models/churn")
    for theme, size in [(theme, size) for theme in ("light", "dark") for size in (WIDE, PHONE)]:
        with town.visit(size, theme) as page:
            for path in paths:
                page.goto(f"{town.url}{path}")
                if path == f"/rollouts/{id_}":
                    page.get_by_text("What else may happen").click()
                    picture(page, f"page-{theme}-{size[0]}")
                elif path == "/":
                    picture(page, f"page-overview-{theme}-{size[0]}")
                found[f"{path} {theme} {size[0]}"] = axe.run(page).response["violations"]
                # Nothing is wider than the screen but what scrolls by itself.
                assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), (
                    path
                )
    told = {
        path: [(v["id"], [n["html"] for n in v["nodes"]]) for v in broken] for path, broken in found.items() if broken
    }
    assert not told


def test_an_experiment_shows_its_arms_and_can_be_read_by_everyone(town: Town) -> None:
    from axe_playwright_python.sync_playwright import Axe

    experiment.begin(town.cloud)
    experiment.minutes(town.cloud, 6, experiment.BETTER)
    id_ = experiment.lead(town.cloud).id
    for theme, size in (("light", WIDE), ("dark", PHONE)):
        with town.visit(size, theme) as page:
            page.goto(f"{town.url}/rollouts/{id_}")
            assert page.get_by_text("perspectival").count()
            assert axe_finds_nothing(Axe(), page)
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            picture(page, f"page-experiment-{theme}-{size[0]}")


def axe_finds_nothing(axe: Any, page: Any) -> bool:
    """Or an assertion that says what."""
    violations = axe.run(page).response["violations"]
    assert not [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations]
    return True
