"""The two kinds of model, and the faults that an artifact can declare."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from infra.serving.artifact import ArtifactError
from infra.serving.behaviour import Behaviour, BehaviourSource, behaviour_from, draw
from infra.serving.model import load
from infra.serving.relevance import SCORERS, relevance_model
from tests.serving.container import image, relevance_artifact, write_artifact


def scores(scorer: str, seed: int = 1, count: int = 2000, tokens_scale: float = 1.0) -> list[dict[str, Any]]:
    model = relevance_model({"scorer": scorer}, seed)
    return [model.score(image(n, 0.4), {}, Behaviour(tokens_scale=tokens_scale)) for n in range(count)]


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("complexity", [0.0, 0.4, 1.0])
def test_every_allocation_lies_within_the_adapters_range(scorer: str, complexity: float) -> None:
    model = relevance_model({"scorer": scorer}, 1)
    for scale in (0.1, 1.0, 5.0):
        answer = model.score(image(1, complexity), {}, Behaviour(tokens_scale=scale))
        assert 64 <= answer["tokens"] <= 400
        assert 0 <= answer["relevance"] <= 1


def test_the_three_scorers_differ_in_relevance_and_agree_on_the_cost() -> None:
    relevance = {scorer: fmean(answer["relevance"] for answer in scores(scorer)) for scorer in SCORERS}
    tokens = [fmean(answer["tokens"] for answer in scores(scorer)) for scorer in SCORERS]
    assert relevance["propositional"] < relevance["perspectival"] < relevance["participatory"]
    assert max(tokens) - min(tokens) < 1


def test_another_training_seed_is_another_model() -> None:
    assert scores("propositional", seed=1, count=5) != scores("propositional", seed=2, count=5)


def test_a_scaled_allocation_shows_in_tokens_and_compression() -> None:
    sound, greedy = scores("propositional"), scores("propositional", tokens_scale=1.5)
    assert fmean(answer["tokens"] for answer in greedy) == pytest.approx(
        1.5 * fmean(answer["tokens"] for answer in sound), rel=0.01
    )
    assert fmean(answer["compression"] for answer in greedy) < 6
    assert fmean(answer["compression"] for answer in sound) > 8


def test_a_cap_on_tokens_is_a_parameter_of_the_request() -> None:
    model = relevance_model({}, 1)
    assert model.score(image(1, 0.9), {"max_tokens": 100.0}, Behaviour())["tokens"] == 100


def test_draws_are_uniform_and_depend_on_their_arguments_only() -> None:
    values = [draw(3, f"image-{n}", "error") for n in range(4000)]
    assert values == [draw(3, f"image-{n}", "error") for n in range(4000)]
    assert fmean(values) == pytest.approx(0.5, abs=0.02)
    assert sum(value < 0.02 for value in values) == pytest.approx(80, abs=35)
    assert draw(3, "a", "error") != draw(4, "a", "error") != draw(4, "a", "latency")


def test_the_declared_error_rate_is_the_share_of_instances_that_fail() -> None:
    failing = sum(Behaviour(error_rate=0.1).fails_on(5, f"image-{n}") for n in range(5000))
    assert failing == pytest.approx(500, abs=90)
    assert not any(Behaviour().fails_on(5, f"image-{n}") for n in range(100))


def test_jitter_is_an_exponential_tail_above_the_base_latency() -> None:
    behaviour = Behaviour(latency_ms=40, jitter_ms=10)
    values = sorted(behaviour.latency_of(1, f"image-{n}") for n in range(4000))
    assert values[0] >= 40
    assert fmean(values) == pytest.approx(50, abs=1)
    assert values[3800] == pytest.approx(40 + 10 * math.log(20), abs=2.5)


class Stopwatch:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_model_degrades_after_the_declared_number_of_requests(tmp_path: Path) -> None:
    declared = behaviour_from({"latency_ms": 20, "degrade_after": {"requests": 2, "error_rate": 0.5}}, "behaviour")
    source = BehaviourSource(declared, tmp_path)
    seen = []
    for _ in range(4):
        source.count_request()
        seen.append((source.in_force().latency_ms, source.in_force().error_rate))
    assert seen == [(20, 0), (20, 0), (20, 0.5), (20, 0.5)]


def test_a_model_degrades_after_the_declared_compressed_seconds(tmp_path: Path) -> None:
    clock = Stopwatch()
    declared = behaviour_from({"degrade_after": {"seconds": 600, "latency_ms": 300}}, "behaviour")
    source = BehaviourSource(declared, tmp_path, clock_rate=60, monotonic=clock)
    clock.seconds += 9.9
    assert source.in_force().latency_ms == 0
    clock.seconds += 0.2
    assert source.in_force().latency_ms == 300


def test_the_control_file_overrides_what_it_names_and_counting_starts_again(tmp_path: Path) -> None:
    clock = Stopwatch()
    source = BehaviourSource(Behaviour(latency_ms=20), tmp_path, monotonic=clock)
    for _ in range(10):
        source.count_request()
    assert source.in_force().latency_ms == 20
    (tmp_path / "control.json").write_text('{"behaviour": {"degrade_after": {"requests": 1, "tokens_scale": 2}}}')
    assert source.in_force() == Behaviour(latency_ms=20), "looked at again within 200 ms"
    clock.seconds += 0.2
    assert source.in_force().tokens_scale == 1
    source.count_request()
    source.count_request()
    assert (source.in_force().tokens_scale, source.in_force().latency_ms) == (2, 20)
    (tmp_path / "control.json").unlink()
    clock.seconds += 0.2
    assert source.in_force() == Behaviour(latency_ms=20)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"behaviour": 5}', '{"behaviour": {"error_rate": "lots"}}'])
def test_an_unreadable_control_file_changes_nothing_and_says_so(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "control.json").write_text(content, encoding="utf-8")
    source = BehaviourSource(Behaviour(latency_ms=5), tmp_path, monotonic=Stopwatch())
    assert source.in_force() == Behaviour(latency_ms=5)
    assert "control file ignored" in json.loads(capsys.readouterr().err)["message"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "oracle"}, "kind: must be 'relevance' or 'tabular', found 'oracle'"),
        (
            {"kind": "relevance", "scorer": "divine"},
            "scorer: must be one of propositional, perspectival, participatory",
        ),
        ({"kind": "relevance", "seed": "x"}, "seed: must be a whole number"),
        ({"kind": "relevance", "behaviour": []}, "behaviour: must be an object"),
        ({"kind": "relevance", "behaviour": {"error_rate": 1.5}}, "behaviour.error_rate: must be a number from 0 to 1"),
        ({"kind": "relevance", "behaviour": {"latency": 1}}, "behaviour.latency: unknown; known are latency_ms"),
        ({"kind": "relevance", "behaviour": {"degrade_after": {"error_rate": 1}}}, "degrade_after: say when"),
        (
            {"kind": "relevance", "behaviour": {"degrade_after": {"seconds": -1}}},
            "degrade_after.seconds: must be a number of 0 or more",
        ),
        ({"kind": "tabular", "weights": {}}, "weights: must be an object"),
        ({"kind": "tabular", "weights": {"a": "1"}}, "weights: must be an object"),
        ({"kind": "tabular", "weights": {"a": 1}, "bias": None}, "bias: must be a number"),
    ],
)
def test_a_wrong_artifact_is_refused_with_its_key(model: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as refused:
        asyncio.run(load(write_artifact(tmp_path, **model)))
    assert message in str(refused.value)


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.json: missing"):
        asyncio.run(load(tmp_path))
    (tmp_path / "model.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ArtifactError, match="must hold an object"):
        asyncio.run(load(tmp_path))


def test_a_call_answers_or_fails_instance_by_instance(tmp_path: Path) -> None:
    async def scenario() -> None:
        model = await load(relevance_artifact(tmp_path, error_rate=0.5))
        answers = await model.predict([image(n) for n in range(50)], {})
        failed = [isinstance(answer, Exception) for answer in answers]
        assert failed == [Behaviour(error_rate=0.5).fails_on(7, f"image-{n}") for n in range(50)]

    asyncio.run(scenario())
