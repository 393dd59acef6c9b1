"""What is written on an endpoint: legal, read back as it was written, and never somebody else's loss."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rollout.copies import known_at_home
from shared.rollout.labels import ADOPTED, PREFIX, TrialLabels, adopt_as, read_labels, write_labels
from shared.rollout.names import (
    copied_version,
    deployed_model_id,
    deployed_name,
    label_key,
    label_value,
    rollout_id,
    version_in,
)
from shared.rollout.observed import DeployedModel, Endpoint, TargetRef
from tests.unit.rollout.worlds import REF, TRIAL_LABELS

VALUE = re.compile(r"[a-z0-9_-]{0,63}")
KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
TEXT = st.one_of(st.text(max_size=90), st.text("aZ0-_/:. é", max_size=90))
MODEL = st.from_regex(r"[a-z_][a-z0-9_-]{0,62}", fullmatch=True)
IDS = st.from_regex(r"[1-9][0-9]{9}", fullmatch=True)
MOMENTS = st.none() | st.integers(1, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(TEXT)
def test_any_text_becomes_a_legal_label_value_and_key(text: str) -> None:
    assert VALUE.fullmatch(label_value(text))
    assert KEY.fullmatch(label_key(text))
    if VALUE.fullmatch(text):
        assert label_value(text) == text, "what is legal stays as it is"


@given(TEXT, TEXT)
def test_two_values_never_become_one_label(one: str, other: str) -> None:
    assert (label_value(one) == label_value(other)) == (one == other)


def test_what_had_to_be_changed_is_told_apart_by_a_digest() -> None:
    assert label_value("gs://a/B").startswith("gs-a-b-")
    assert label_value("gs://a/B") != label_value("gs-a-b")
    assert label_key("1" * 62 + "2") != label_key("1" * 63), "a key that is cut is, too"
    assert label_key("2026-run") == "l-2026-run"


@given(MODEL, st.integers(1, 10**9), st.from_regex(r"[a-z][a-z0-9-]{0,61}[a-z0-9]", fullmatch=True))
def test_a_rollouts_id_is_a_legal_label_value_and_names_its_version(model: str, version: int, endpoint: str) -> None:
    name = rollout_id(model, str(version), TargetRef("shop", "us-central1", endpoint))
    assert VALUE.fullmatch(name)
    assert version_in(name) == str(version)
    assert name == rollout_id(model, str(version), TargetRef("shop", "us-central1", endpoint))


def test_each_target_and_version_has_a_rollout_of_its_own() -> None:
    elsewhere = TargetRef("shop", "europe-west1", "churn-serving")
    assert len({rollout_id("churn", v, t) for v in ("1", "2") for t in (REF, elsewhere)}) == 4
    assert version_in("somebody's own") == ""


@given(st.text(max_size=60), st.integers(1, 10), st.integers(0, 9))
def test_a_deployed_models_id_is_ten_digits_without_a_leading_zero(rollout: str, attempt: int, draw: int) -> None:
    assert re.fullmatch(r"[1-9][0-9]{9}", deployed_model_id(rollout, attempt, draw))


def test_another_attempt_or_draw_has_another_id() -> None:
    assert len({deployed_model_id("r", a, d) for a in (1, 2, 3) for d in (0, 1)}) == 6


TRIALS = st.builds(
    TrialLabels,
    model=MODEL,
    rollout=st.just("") | MODEL.map(lambda m: rollout_id(m, "12", REF)),
    stable=st.just("") | IDS,
    candidate=st.just("") | IDS,
    fallback=st.just("") | IDS,
    since=MOMENTS,
    lag=st.integers(0, 10**9).map(lambda s: timedelta(seconds=s)),
    unnamed=st.sampled_from(["act", "hold"]),
    closed=st.just("") | MODEL.map(lambda m: rollout_id(m, "11", REF)),
    closed_from=st.just("") | IDS,
    closed_at=MOMENTS,
)
OTHERS = st.dictionaries(
    st.text("abv-9_", min_size=1, max_size=12).filter(KEY.fullmatch), st.text("ab9-_", max_size=12), max_size=5
)


@given(TRIALS, OTHERS)
def test_labels_are_read_back_as_written_and_those_of_others_survive(
    trial: TrialLabels, others: dict[str, str]
) -> None:
    others = {key: value for key, value in others.items() if not key.startswith(PREFIX)}
    stale = {"vr-rollout": "an-older-one", "vr-fallback": "1", "vr-unknown": "x"}
    written = write_labels(others | stale, trial)
    assert read_labels(written) == trial
    assert {key: value for key, value in written.items() if not key.startswith(PREFIX)} == others
    assert all(KEY.fullmatch(key) for key in written)
    assert all(VALUE.fullmatch(value) for key, value in written.items() if key.startswith(PREFIX))


def test_what_an_adopted_model_is_survives_every_write() -> None:
    before = adopt_as("1234567890123456789", "12") | {"vr-stable": "5"}
    assert VALUE.fullmatch(before[ADOPTED])
    assert write_labels(before, TrialLabels(stable="6"))[ADOPTED] == before[ADOPTED]


@pytest.mark.parametrize("said", ["", "7", "7_", "7_x", "7_²", "8_3", "_"])
def test_a_label_that_names_no_version_of_what_is_deployed_changes_nothing(said: str) -> None:
    deployed = DeployedModel("7", "fraud", "2", 1, 1)
    endpoint = Endpoint(REF, "e", {ADOPTED: said}, {"7": 100}, (deployed,))
    assert known_at_home(endpoint).deployed == (deployed,)


def test_an_adopted_model_is_called_by_its_number_at_home() -> None:
    others = DeployedModel("8", "fraud", "5", 1, 1, copied_as="3")
    endpoint = Endpoint(REF, "e", adopt_as("7", "4"), {"7": 100}, (DeployedModel("7", "fraud", "2", 1, 1), others))
    known = known_at_home(endpoint)
    assert [(d.version, d.registered) for d in known.deployed] == [("4", "2"), ("5", "3")]
    assert known_at_home(known) == known


def test_a_trial_needs_at_most_ten_labels_so_fifty_four_others_fit() -> None:
    full = TrialLabels(
        model="x",
        rollout="x",
        stable="x",
        candidate="x",
        unnamed="hold",
        closed="x",
        closed_from="x",
        since=TRIAL_LABELS.since,
        closed_at=TRIAL_LABELS.since,
    )
    others = {f"l-{n}": "" for n in range(54)}
    assert len(write_labels(others, full)) == 64


@pytest.mark.parametrize("junk", ["", "soon", "-5", "²", "1e9", "9" * 11, "9" * 40, "12.5"])
def test_a_number_that_somebody_garbled_reads_as_absent(junk: str) -> None:
    """Anybody may edit labels; a rollback does not stumble over them."""
    read = read_labels({"vr-stable": "1", "vr-since": junk, "vr-lag": junk, "vr-closed-at": junk})
    assert (read.since, read.closed_at, read.lag) == (None, None, timedelta(minutes=4))


def test_an_endpoint_of_somebody_else_is_not_ours() -> None:
    assert not read_labels({"team": "growth"}).is_ours
    assert not read_labels({"vr-model": "churn"}).is_ours, "created, and nothing has held traffic yet"
    assert read_labels({"vr-stable": "1"}).is_ours


@pytest.mark.parametrize(
    ("name", "registered", "original"),
    [
        (deployed_name("fraud", "3", "2"), "2", "3"),
        (deployed_name("fraud", "3"), "3", ""),
        ("fraud-v3 (copied as v2) by hand", "2", ""),
        ("fraud-v3 (copied as v2)", "4", ""),
        ("fraud-v (copied as v2)", "2", ""),
        ("fraud-v٣ (copied as v2)", "2", ""),
        ("other-v3 (copied as v2)", "2", ""),
        ("fraud-v3 (copied as v)", "", ""),
    ],
)
def test_a_deployed_model_says_whose_copy_it_is(name: str, registered: str, original: str) -> None:
    assert copied_version(name, "fraud", registered) == original
