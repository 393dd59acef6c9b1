"""``rollouts plan``."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from random import Random
from textwrap import dedent

import pytest

from rollouts_cli.assumed import Values, World
from rollouts_cli.stage_plan import plan_stages
from shared.policy.rollout import RolloutSpec
from shared.rollout.observed import ArmMinute
from shared.rollout.proof import Proof, update_proof, weigh
from tests.unit.cli.conftest import Rollouts
from tests.unit.policy.files import EXAMPLES, HEAD
from tests.unit.statistics.worlds import binomial

BODY = """\
rollout:
  advance: evidence
  stages: [{traffic: 10, bake: 10m}, {traffic: 50, bake: 10m}, {traffic: 100}]
  checks:
    - {metric: error_rate, at_most: 3%, margin: 1.5x}
    - {metric: latency_ms, p95_at_most: 200, margin: 1.2x}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "churn.yaml"
    file.write_text(HEAD + BODY, encoding="utf-8")
    return file


def test_a_plan_is_a_table_a_plot_and_what_was_assumed(rollouts: Rollouts, policy: Path) -> None:
    ran = rollouts("plan", policy, "--rps", 10, "--error-rate", 0.01)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == dedent(
        """\
        churn at 10 requests/s and 1% errors, advancing by evidence: 1h2m until all the traffic

        STAGE  TRAFFIC  TIME   WAITS FOR              FINDS AT LEAST
        1/3    10 %     33m    error_rate (relative)  error_rate 1% → 2.1%; latency_ms +8.3 %
        2/3    50 %     29m    error_rate (relative)  error_rate 1% → 1.7%; latency_ms +5.3 %
        3/3    100 %    watch  -                      what its absolute limits say

        The least error_rate found at 10 % after so much judged time
           5m  ████████████████████████████████ 1% → 4.1%
          10m  ███████████████████████▋ 1% → 3%
          20m  ██████████████████▎ 1% → 2.3%
          30m  ████████████████▏ 1% → 2.1%
           1h  █████████████▍ 1% → 1.7%
           2h  ███████████▋ 1% → 1.5%
           4h  ██████████▌ 1% → 1.3%

        Each stage: 1m to settle after its shift, at least its bake time, and metrics 4m late.
        Assumed: latency_ms of the stable using 70% of its limit, P50 52.2 and P95 140; give --stable-p50 and --stable-p95.
        """
    )


def test_a_stage_that_evidence_fills_sooner_than_its_bake_time_waits_for_that_and_for_the_lag(
    rollouts: Rollouts, policy: Path
) -> None:
    plan = json.loads(rollouts("plan", policy, "--rps", 200, "--stable-p50", 60, "--stable-p95", 150, "--json").out)
    assert [(stage["waits_for"], stage["seconds"]) for stage in plan["stages"]] == [("bake", 840), ("bake", 840)]
    assert plan["seconds"] == 1680
    assert plan["warnings"] == []
    assert plan["assumed"]["latency_ms"] == pytest.approx({"p50": 60, "p95": 150})
    assert [found["metric"] for found in plan["stages"][0]["found"]] == ["error_rate", "latency_ms"]


def test_a_policy_that_can_never_decide_says_so(rollouts: Rollouts, policy: Path) -> None:
    """Four percent errors are beyond the limit of three: no candidate like the stable is ever shown to be below it."""
    ran = rollouts("plan", policy, "--rps", 10, "--error-rate", "4%")
    assert "churn at 10 requests/s and 4% errors, advancing by evidence: never until all the traffic" in ran.out
    assert (
        "warning: stage 1 (10 %) is never decided: error_rate (limit) cannot be shown at this stable, however long one waits"
        in ran.out
    )


def test_too_little_traffic_for_the_deadline_is_a_warning(rollouts: Rollouts, policy: Path) -> None:
    ran = rollouts("plan", policy, "--rps", 0.05, "--error-rate", "1%")
    assert "warning: stage 1 (10 %) is not decided before its deadline: error_rate (relative) needs longer" in ran.out


def test_without_traffic_nothing_is_ever_decided(rollouts: Rollouts, policy: Path) -> None:
    ran = rollouts("plan", policy, "--rps", 0)
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "warning: without traffic no stage is ever decided"


def test_a_policy_that_bakes_is_planned_by_its_bake_times_and_says_what_is_missing(
    rollouts: Rollouts, tmp_path: Path
) -> None:
    text = (EXAMPLES / "arr-coc-relevance.yaml").read_text()
    baked = tmp_path / "baked.yaml"
    baked.write_text(text.replace("rollout:\n", "rollout:\n  advance: bake\n"), encoding="utf-8")
    out = rollouts("plan", baked, "--rps", 10).out
    assert "advancing by bake: 43m until all the traffic" in out
    assert "This policy advances by bake" in out
    assert "Left out: tokens_per_image; say what the stable does with --stable tokens_per_image=P50,P95." in out
    named = rollouts(
        "plan",
        EXAMPLES / "arr-coc-relevance.yaml",
        "--rps",
        10,
        "--error-rate",
        "0.2%",
        "--stable",
        "tokens_per_image=200,320",
    )
    assert "tokens_per_image +6.7 %; tokens_per_image -37 %" in named.out
    assert "Left out: tokens_per_image" not in named.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--error-rate", "many"], "--error-rate: 'many' is not a share"),
        (["--error-rate", "100%"], "from 0 to below 100%"),
        (["--stable-p50", "80"], "--stable-p50 needs --stable-p95"),
        (["--stable-p50", "80", "--stable-p95", "60"], "does not lie above a median of 80"),
        (["--stable", "tokens"], "write it like tokens_per_image=220,340"),
    ],
)
def test_a_stable_that_cannot_be_is_refused_in_one_line(
    options: list[str], said: str, rollouts: Rollouts, policy: Path
) -> None:
    ran = rollouts("plan", policy, "--rps", 10, *options)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert said in ran.err


def test_a_file_that_is_no_policy_is_refused_with_its_mistakes(rollouts: Rollouts, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + "mode: stop\n", encoding="utf-8")
    assert rollouts("plan", "p.yaml", "--rps", 10).err.startswith("p.yaml:5: mode: 'stop' is not one of the choices")


def test_the_plan_of_a_stage_is_what_the_engine_takes() -> None:
    """The median of the engine itself on equal arms, within the third that an estimate of a median may be off."""
    check = {"metric": "error_rate", "margin": "1.5x"}
    spec = RolloutSpec.model_validate(
        {
            "advance": "evidence",
            "stages": [{"traffic": 10}, {"traffic": 50}, {"traffic": 100}],
            "checks": [check | {"at_most": "4%"}],
        }
    )
    planned = plan_stages(spec, World(10, 0.02, {})).stages[0]
    took = sorted(_ticks_to_no_harm(spec, seed) for seed in range(21))
    judged = planned.judged_seconds / 60 - 1
    assert judged / 1.5 < statistics.median(took) < judged * 1.5


def _ticks_to_no_harm(spec: RolloutSpec, seed: int) -> int:
    random, proof, ticks = Random(seed), Proof("stable"), 0
    while weigh(proof, 0, spec.checks[0], last=False).no_harm < 20 and ticks < 400:
        arms = [ArmMinute(n, binomial(random, n, 0.02)) for n in (540, 60)]
        proof, ticks = update_proof(proof, spec, arms[0], arms[1], 10), ticks + 1
    return ticks


def test_values_are_log_normal_by_their_median_and_p95() -> None:
    values = Values.of(80, 200)
    assert values.quantile(0.95) == pytest.approx(200)
    assert values.share_beyond(200) == pytest.approx(0.05)
    assert values.times(2).share_beyond(160) == pytest.approx(0.5)
    assert values.mean > 80
