"""The status page: what it shows, who may see it, and that nothing but a form of its own acts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.iap import AUDIENCE, IdentityAwareProxy
from shared import topics
from shared.identity import ASSERTION
from shared.rollout.record import Phase
from tests.functional.functions.harness import Cloud
from tests.functional.functions.journeys import Journey
from tests.functional.functions.policies import ENDPOINT, STAGES, judged, policy
from tests.functional.functions.test_experiment import BETTER, begin, lead, minutes
from tests.functional.functions.test_targets import ALL, SECOND, in_order

ANN, EVE = "ann@example.com", "eve@example.com"
SAME = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Visitor:
    """A person with a browser of their own."""

    cloud: Cloud
    proxy: IdentityAwareProxy
    browser: Any

    def get(self, path: str, status: int = 200, **headers: str) -> str:
        with self.cloud.recorded("status_page"):
            found = self.browser.get(
                path, headers={ASSERTION: self.proxy.assertion(), **headers}, base_url="https://page.example.com"
            )
        assert found.status_code == status, found.text
        assert found.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; style-src 'self'; script-src 'self'"
        )
        return str(found.text)

    def form(self, version: str, command: str) -> dict[str, str]:
        """The fields of the form that asks."""
        return dict(
            re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.get(self.path(version, command)))
        )

    def path(self, version: str, command: str = "") -> str:
        return f"/rollouts/{self.cloud.rollout(version).id}{'/' if command else ''}{command}"

    def send(self, version: str, command: str, form: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        said = {ASSERTION: self.proxy.assertion(), **(SAME if headers is None else headers)}
        with self.cloud.recorded("status_page"):
            return self.browser.post(
                self.path(version, command), data=form, headers=said, base_url="https://page.example.com"
            )

    def tell(self, version: str, command: str, reason: str = "") -> None:
        """Open the page that asks, and say yes."""
        answer = self.send(version, command, self.form(version, command) | {"reason": reason})
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"] == f"{self.path(version)}?done={command}"
        self.cloud.settle()


@pytest.fixture
def ann(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    """An operator."""
    with IdentityAwareProxy(ANN, lambda: "") as proxy:
        monkeypatch.setenv("IAP_CERTS_URL", proxy.keys_url)
        monkeypatch.setenv("PAGE_AUDIENCE", AUDIENCE)
        monkeypatch.setenv("COMMAND_OPERATORS", ANN)
        yield Visitor(cloud, proxy, cloud.apps.client("status_page"))


@pytest.fixture
def trial(cloud: Cloud, ann: Visitor) -> Visitor:
    """Version 2 has a tenth of the traffic."""
    cloud.apply(judged(rollout={"stages": [STAGES[0], {"traffic": 50, "approval": {}}, STAGES[2]]}))
    cloud.deploy("run-1")
    cloud.minutes(3)
    cloud.deploy("run-2")
    return ann


def test_an_empty_system_says_what_begins_a_rollout(ann: Visitor) -> None:
    page = ann.get("/")
    assert "Nothing is under way" in page and "None has ended yet" in page
    assert "No model has a policy yet" in ann.get("/models")


def test_the_page_of_one_target_leads_to_the_others(ann: Visitor) -> None:
    ann.cloud.apply(in_order(checks=[]))
    ann.cloud.register("run-1")
    ann.cloud.settle()
    journey = Journey(ann.cloud, ALL)
    page = ann.get(f"/rollouts/{journey.on(SECOND, '1').id}")
    first = journey.on(ALL[0], "1").id
    assert f'<a href="/rollouts/{first}">us-central1/{ENDPOINT}  ◷ queued  0/2  0 %</a>' in page
    assert f"<strong>us-central1/{SECOND.endpoint}  ◷ queued  0/2  0 %</strong>" in page


def test_a_canary_is_shown_with_its_numbers_its_traffic_and_what_comes_next(trial: Visitor) -> None:
    trial.cloud.minutes(6)
    overview, page = trial.get("/"), trial.get(trial.path("2"))
    assert f'href="{trial.path("2")}"' in overview and "Ended the watch of v1" in overview
    for said in (
        "error_rate 0 % &lt;= 1 %",
        "On the endpoint now: v1 90 %, v2 10 %",
        "Advanced v2 to 10 %",
        "Not before",
    ):
        assert said in page
    assert 'aria-current="step"' in page and '<polyline class="candidate" points="' in page
    model = trial.get("/models/churn")
    assert "champion" in model and "candidate" in model and "auc" in model


def test_approving_from_the_page_is_approving_under_ones_own_name(trial: Visitor) -> None:
    trial.cloud.minutes(12)
    assert "50 % waits for approval" in trial.get("/")
    trial.tell("2", "approve", "looks <b>fine</b>")
    assert trial.cloud.split() == {"1": 50, "2": 50}
    page = trial.get(trial.path("2") + "?done=approve")
    assert "The approval is recorded" in page
    assert "ann@example.com approved 50 % for v2: looks &lt;b&gt;fine&lt;/b&gt;" in page


def test_pause_resume_promote_and_abort_go_the_way_of_every_command(trial: Visitor) -> None:
    trial.tell("2", "pause", "load test")
    assert "paused by ann@example.com: load test" in trial.get("/")
    trial.tell("2", "resume")
    assert trial.cloud.rollout("2").hold is None
    trial.tell("2", "abort", "wrong data")
    assert trial.cloud.split() == {"1": 100}
    assert trial.cloud.rollout("2").phase is Phase.ROLLED_BACK
    assert "rolled back" in trial.get(trial.path("2"))
    assert "Nothing to abort here now" in trial.get(trial.path("2", "abort"))


def test_looking_never_acts_and_a_form_acts_once(trial: Visitor) -> None:
    form = trial.form("2", "pause")
    before = trial.cloud.rollout("2")
    trial.get(trial.path("2", "abort"))
    assert trial.cloud.rollout("2") == before and not trial.cloud.published(topics.ALERT_FIRED)
    assert trial.send("2", "pause", form).status_code == 303
    again = trial.send("2", "pause", form)
    assert again.status_code == 409 and "was taken before" in again.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_of_another_site_is_refused(trial: Visitor, headers: dict[str, str]) -> None:
    answer = trial.send("2", "pause", trial.form("2", "pause"), headers)
    assert answer.status_code == 403 and "was not sent from the page that asks" in answer.text
    assert trial.cloud.rollout("2").hold is None


def test_a_form_is_of_one_person_one_command_and_one_browser(trial: Visitor) -> None:
    form = trial.form("2", "pause")
    origin = {"Origin": "https://page.example.com"}
    assert trial.send("2", "abort", form, origin).status_code == 403
    assert trial.send("2", "pause", form | {"id": "f" * 32}, origin).status_code == 403
    assert trial.send("2", "pause", form | {"token": "é"}, origin).status_code == 403
    stranger = Visitor(trial.cloud, trial.proxy, trial.cloud.apps.client("status_page"))
    assert stranger.send("2", "pause", form, origin).status_code == 403
    trial.proxy.person = EVE
    assert trial.send("2", "pause", form, origin).status_code == 403
    trial.proxy.person = ANN
    assert trial.send("2", "pause", form, origin).status_code == 303


def test_who_may_not_act_is_offered_nothing_and_refused(trial: Visitor) -> None:
    trial.proxy.person = EVE
    page = trial.get(trial.path("2"))
    assert "You may look." in page and 'class="button' not in page
    asks = trial.get(trial.path("2", "abort"))
    assert "you are eve@example.com" in asks and "<form" not in asks


FORGED: dict[str, dict[str, object]] = {
    "another audience": {"aud": "/projects/1/locations/us-central1/services/status-page"},
    "another issuer": {"iss": "https://accounts.google.com"},
    "expired": {"iat": 1, "exp": 600},
    "nobody": {"email": None},
    "no text": {"email": ["ann@example.com"]},
}


@pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED.keys())
def test_an_assertion_that_is_not_the_proxys_shows_nothing(ann: Visitor, changes: dict[str, object]) -> None:
    answer = ann.browser.get("/", headers={ASSERTION: ann.proxy.assertion(**changes)})
    assert answer.status_code == 401 and "signed in as" not in answer.text


def test_without_the_proxy_or_its_key_nothing_is_shown(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    other = IdentityAwareProxy(ANN, lambda: "")
    for headers in ({}, {ASSERTION: "a.b.c"}, {ASSERTION: other.assertion()}, {"X-Goog-Authenticated-User-Email": ANN}):
        assert ann.browser.get("/", headers=headers).status_code == 401
    other._server.server_close()
    monkeypatch.setenv("PAGE_AUDIENCE", "")
    answer = ann.browser.get("/", headers={ASSERTION: ann.proxy.assertion()})
    assert answer.status_code == 401 and "PAGE_AUDIENCE is not set" in answer.text


def test_what_is_not_there_is_said_with_what_is_near(trial: Visitor) -> None:
    id_ = trial.cloud.rollout("2").id
    assert f"near it: {id_}" in trial.get(f"/rollouts/{id_[:-1]}x", 404)
    assert "There is no policy for nothing" in trial.get("/models/nothing", 404)
    assert trial.browser.delete("/", headers={ASSERTION: trial.proxy.assertion()}).status_code == 405
    trial.get("/rollouts/x/explode", 404)


def test_text_of_others_is_text(cloud: Cloud, ann: Visitor) -> None:
    cloud.apply(policy())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    ann.tell("2", "pause", '"><script>alert(1)</script>{{ 7*7 }}')
    for path in ("/", ann.path("2"), ann.path("2", "resume"), "/?model=<script>"):
        assert "<script>alert" not in ann.get(path) and "<script>\n" not in ann.get(path)


def test_without_vertex_ai_and_metrics_the_record_is_shown(trial: Visitor) -> None:
    trial.cloud.emulator.stop()
    page = trial.get(trial.path("2"))
    assert "Cannot be read just now" in page and "The metrics cannot be read just now" in page
    assert "Advanced v2 to 10 %" in page


def test_without_the_store_it_says_so(trial: Visitor) -> None:
    with trial.cloud.without_store():
        assert "Not now" in trial.get("/", 503)


def test_an_experiment_shows_its_arms_side_by_side(cloud: Cloud, ann: Visitor) -> None:
    begin(cloud)
    minutes(cloud, 6, BETTER)
    id_ = lead(cloud).id
    page = ann.get(f"/rollouts/{id_}")
    assert "of the experiment, by how often relevance is good from 0.7" in page
    rows = re.findall(
        r'<tr><th scope="row" class="short">(\w+)</th><td>v(\d)</td><td class="num" data-name="share">(\d+) %</td>',
        page,
    )
    assert [(name, version) for name, version, _ in rows] == [
        ("control", "1"),
        ("perspectival", "2"),
        ("participatory", "3"),
    ]
    assert 'aria-current="step"' in page and "experiment" in ann.get("/")
