"""Files become policies, or one error that names everything that is wrong, with its line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import PermanentError
from shared.policy.loading import load_policies, load_policy
from shared.policy.problems import PolicyError, Problem
from tests.unit.policy.files import EXAMPLES, HEAD, problems_of


def test_the_shipped_vision_language_policy_says_what_it_is_meant_to_say() -> None:
    policy = load_policy(EXAMPLES / "arr-coc-relevance.yaml")
    checks = {check.metric: check for check in policy.rollout.checks}
    assert [stage.traffic for stage in policy.rollout.stages] == [10, 50, 100]
    assert (checks["error_rate"].at_most, checks["error_rate"].margin) == (0.01, 1.5)
    assert (checks["latency_ms"].p95_at_most, checks["latency_ms"].margin) == (100, 1.2)
    tokens = checks["tokens_per_image"]
    assert (tokens.range, tokens.share_above, tokens.share_below) == ((64, 400), {350: 0.05}, {80: 0.05})
    assert checks["compression"].mean_at_least == 8
    assert policy.machine.accelerator is not None
    assert policy.machine.accelerator.type == "NVIDIA_TESLA_T4"
    assert policy.rollout.standby.keep == timedelta(hours=24)


def test_a_directory_is_read_whole_and_in_order() -> None:
    assert [one.policy.model for one in load_policies([EXAMPLES])] == ["arr-coc-relevance", "churn-tabular"]


def test_a_file_may_hold_several_documents(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(f"{HEAD}---\n{HEAD.replace('churn', 'risk')}---\n# nothing\n", encoding="utf-8")
    assert [one.policy.model for one in load_policies([file])] == ["churn", "risk"]
    with pytest.raises(PolicyError, match=r"two.yaml:6: the file holds 2 policies; one is expected here"):
        load_policy(file)


def test_three_different_mistakes_are_three_problems_of_one_run(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        HEAD
        + """\
rollout:
  drift: stop
  checks:
    - {metric: error_rate, at_most: 1%}
    - metric: latency_ms
      p95_at_mots: 100
notify: [irc://ml]
""",
    )
    assert found == [
        "6: rollout.drift: 'stop' is not one of the choices; allowed: pause, reassert, adopt",
        "10: rollout.checks[1].p95_at_mots: unknown key; did you mean p95_at_most?; allowed: metric, at_most, p50_at_most,"
        " p95_at_most, p99_at_most, mean_at_most, mean_at_least, range, outside, share_above, share_below, margin, labels, floor,"
        " min_samples, gating",
        "11: notify[0]: 'irc://ml' is not allowed here; allowed: a channel such as slack://ml-alerts, gchat://ml-alerts or"
        " webhook://ml-alerts?from=error",
    ]


def test_a_rule_over_several_keys_is_heard_beside_a_mistake_in_another_key(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        HEAD
        + """\
rollout:
  drift: stop
  stages:
    - {traffic: 50, bake: 3m}
    - {traffic: 10}
  standby: {hold: 2h, for: 1h}
  checks:
    - {metric: latency_ms, margin: 2x}
    - {metric: latency_ms, at_most: 1%}
""",
    )
    assert [line.split("; allowed")[0] for line in found] == [
        "6: rollout.drift: 'stop' is not one of the choices",
        "8: rollout.stages[0].bake: 3m is too short to be judged: metrics are 4m late and the first 1m is dropped",
        "9: rollout.stages[1].traffic: the last stage ends at 10 %",
        "9: rollout.stages[1].traffic: the share does not rise: 50 % is followed by 10 %",
        "10: rollout.standby.for: the fallback would be gone (1h) before its replicas may shrink",
        "13: rollout.checks[1].at_most: at_most cannot limit latency_ms",
    ]


def test_a_rule_that_looks_at_a_mistake_is_not_heard_until_it_is_corrected(tmp_path: Path) -> None:
    """The misspelt limit is the mistake; that its check has no limit, and with it no check at all, only follows from it."""
    found = problems_of(tmp_path, HEAD + "rollout: {checks: [{metric: latency_ms, p95_at_mots: 100}]}\n")
    assert [line.split(";")[0] for line in found] == ["5: rollout.checks[0].p95_at_mots: unknown key"]


def test_missing_and_mistyped_required_keys_do_not_hide_the_rest(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        """\
        model: Churn Model
        targets:
          - endpoint: churn-serving
        machine: {replicas: {min: 3, max: 2}}
        rollout:
          stages: [{traffic: 10}]
        """,
    )
    assert [line.split("; allowed")[0] for line in found] == [
        "1: model: 'Churn Model' is not allowed here",
        "1: register: the key is missing",
        "3: targets[0].region: the key is missing",
        "4: machine.replicas.max: max (2) is below min (3)",
        "4: machine.type: the key is missing",
        "6: rollout.stages[0].traffic: the last stage ends at 10 %",
    ]


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ("mode: watch", "5: mode: 'watch' is not one of the choices; allowed: enforce, observe"),
        ("mode: observed", "5: mode: 'observed' is not one of the choices; did you mean observe?; allowed: enforce, observe"),
        ("model: other", "5: model: the key is given twice, first in line 1; allowed: each key once"),
        (
            "rollout: {deploy_attempts: 11}",
            "5: rollout.deploy_attempts: 11 is too large; allowed: a whole number from 1 to 10",
        ),
        (
            "rollout: {deploy_attempts: often}",
            "5: rollout.deploy_attempts: 'often' is not allowed here; allowed: a whole number from 1 to 10",
        ),
        ("rollout: {stages: []}", "5: rollout.stages: the list is empty; allowed: a list of at least 1; each entry a mapping"),
        ("rollout: {stages: 10}", "5: rollout.stages: 10 is not allowed here; allowed: a list of at least 1"),
        ("rollout: [canary]", "5: rollout: a list is not allowed here; allowed: a mapping with the keys strategy, experiment, blue_green, advance"),
        (
            "rollout: {metrics: {lag: soon}}",
            "5: rollout.metrics.lag: 'soon' is not a duration; write it like 90s, 15m, 4h or 7d; allowed: a duration such as",
        ),
        (
            "rollout: {metrics: {lag: -5}}",
            "5: rollout.metrics.lag: -5 is not a duration of whole seconds from 0s to 3650d; allowed: a duration such as",
        ),
        (
            "rollout: {no_data: {after: 1h, then: roll-back}}",
            "5: rollout.no_data.then: 'roll-back' is not one of the choices; did you mean roll_back?; allowed: hold, pause,",
        ),
        (
            "rollout: {checks: [{metric: a, range: [5, 5]}]}",
            "5: rollout.checks[0].range: the range is empty: it begins at 5 and ends at 5; allowed: [lowest, highest]",
        ),
        (
            "rollout: {checks: [{metric: a, range: [5, 6, 7]}]}",
            "5: rollout.checks[0].range: the list is too long; allowed: a list of 2: [a number, a number]",
        ),
        (
            "rollout: {checks: [{metric: a, range: [5]}]}",
            "5: rollout.checks[0].range[1]: the key is missing; allowed: a number",
        ),
        (
            "rollout: {checks: [{metric: a, share_above: {many: 5%}}]}",
            "5: rollout.checks[0].share_above.many: the key 'many' is not a number; allowed: numbers as keys",
        ),
        (
            "rollout: {checks: [{metric: a, share_above: {350: 500%}}]}",
            "5: rollout.checks[0].share_above[350]: '500%' is too large; allowed: a share from 0% to 100%",
        ),
        (
            "rollout: {checks: [{metric: a, margin: 2x}]}",
            "5: rollout.checks: no check has an absolute limit; at 100 % there is no stable to compare with; allowed: at least",
        ),
        (
            "rollout: {checks: [{metric: error_rate, p95_at_most: 3}]}",
            "5: rollout.checks[0].p95_at_most: p95_at_most cannot limit error_rate; allowed: for error_rate: at_most, margin",
        ),
        (
            "display_name: 5",
            "5: display_name: found the number 5; put it in quotes; allowed: text",
        ),
        ("access: {operators: [true]}", "5: access.operators[0]: found the truth value true; put it in quotes; allowed: text"),
        ("gate: {metrics: [{name: auc}]}", "5: gate.metrics[0]: the metric auc has no limit; allowed: at least one of at_least"),
        ("alerts:\n  unnamed: \n    - act", "6: alerts.unnamed: a list is not one of the choices; allowed: act, hold"),
    ],
)  # fmt: skip
def test_each_mistake_says_where_it_is_what_is_wrong_and_what_is_allowed(
    tmp_path: Path, added: str, problem: str
) -> None:
    found = problems_of(tmp_path, HEAD + added + "\n")
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("replaced", "by", "problem"),
    [
        ("{message: true}", "{}", "3: register.from: no source is named; allowed: pipeline, custom_job or training_pipeline"),
        ("endpoint: churn-serving", "endpoint: 123", "2: targets[0].endpoint: found the number 123; put it in quotes"),
        ("{type: n1-standard-2}", "{type: n1-standard-2, autoscale: {gpu: 60}}", "4: machine.autoscale.gpu: there is no accelerator"),
        (
            "[{region: us-central1, endpoint: churn-serving}]",
            "[{region: us-central1, endpoint: a1}, {region: us-central1, endpoint: a1}]",
            "2: targets[1]: the same endpoint as targets[0]; allowed: each endpoint once",
        ),
        (
            "[{region: us-central1, endpoint: churn-serving}]",
            "[{region: us-central1, endpoint: a1}, {region: europe-west4, endpoint: a1}]\nmode: observe",
            "2: targets: targets in several regions or projects, and nothing says which version somebody else has copied",
        ),
        ("[{region", "\n- {request_logging: {table: x}}\n- [{region", None),
    ],
)  # fmt: skip
def test_mistakes_in_required_parts(tmp_path: Path, replaced: str, by: str, problem: str | None) -> None:
    found = problems_of(tmp_path, HEAD.replace(replaced, by))
    assert found
    assert problem is None or (len(found) == 1 and found[0].startswith(problem))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1,\n", "2: not YAML: expected the node content, but found '<stream end>' (while parsing a flow node)"),
        ("a: !!python/object:os.system {}", "1: not YAML: could not determine a constructor for the tag"),
        ("a: \x07", "not YAML: special characters are not allowed"),
        ("model: &m [*m]", "1: model[0]: the document contains itself: an alias is used inside its own anchor"),
        ("[" * 60 + "]" * 60, "1: the document is nested more than 50 levels deep"),
        ("[" * 5000 + "]" * 5000, "the document is nested more than 50 levels deep"),
        ("", "the file holds no policy; allowed: one policy per document, divided by ---"),
        ("- model", "1: a policy is a mapping; found a list; allowed: model, targets, register, machine, ..."),
        ("just words", "1: a policy is a mapping; found 'just words'"),
    ],
)
def test_what_is_not_a_policy_at_all_is_one_problem(tmp_path: Path, text: str, problem: str) -> None:
    found = problems_of(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].removeprefix(f"{tmp_path / 'policy.yaml'}: ").startswith(problem)


def test_two_keys_that_are_missing_in_one_place_are_two_problems(tmp_path: Path) -> None:
    found = problems_of(tmp_path, HEAD + "rollout: {stages: [{traffic: 10}], no_data: {}}\n")
    assert [line.split("; allowed")[0] for line in found] == [
        "5: rollout.no_data.after: the key is missing",
        "5: rollout.no_data.then: the key is missing",
        "5: rollout.stages[0].traffic: the last stage ends at 10 %",
    ]


def test_files_that_cannot_be_read_are_named_beside_the_mistakes_of_others(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"model: a\nowner: M\xfcller\n")
    (tmp_path / "wrong.yaml").write_text(HEAD + "mode: watch\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicyError) as refused:
        load_policies([tmp_path, tmp_path / "gone.yaml", tmp_path / "empty"])
    assert {(Path(p.file).name, p.line, p.message) for p in refused.value.problems} == {
        ("latin.yaml", 2, "byte 17 is not UTF-8"),
        ("wrong.yaml", 5, "'watch' is not one of the choices"),
        ("gone.yaml", 0, "cannot be read: No such file or directory"),
        ("empty", 0, "the directory holds no policies"),
    }
    assert isinstance(refused.value, PermanentError)


def test_an_endpoint_belongs_to_one_policy_and_a_model_has_one(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(HEAD, encoding="utf-8")
    second.write_text(HEAD, encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        load_policies([first, second])
    assert refused.value.problems == (
        Problem(str(second), 1, "model", f"churn has a policy already, in {first}:1", "one policy per model"),
        Problem(
            str(second),
            2,
            "targets[0].endpoint",
            f"churn-serving in us-central1 belongs to another policy already, in {first}:2",
            "an endpoint belongs to one policy",
        ),
    )


def test_the_same_endpoint_name_in_two_projects_is_two_endpoints(tmp_path: Path) -> None:
    elsewhere = HEAD.replace("model: churn", "model: risk").replace("{region", "{project: other, region")
    (tmp_path / "both.yaml").write_text(f"{HEAD}---\n{elsewhere}", encoding="utf-8")
    assert len(load_policies([tmp_path])) == 2


def test_scalars_mean_what_they_look_like(tmp_path: Path) -> None:
    """YAML 1.1 would read a truth value, a date, a sexagesimal number and an octal one."""
    labels = "labels: {country: no, cut: 2026-01-31, window: 1:30, build: 010, none: 'null', size: 1_000}"
    text = HEAD.replace("container: {image: churn}", f"container: {{image: churn}}, {labels}")
    file = tmp_path / "p.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_policy(file).register_.labels == {
        "country": "no",
        "cut": "2026-01-31",
        "window": "1:30",
        "build": "010",
        "none": "null",
        "size": "1_000",
    }


def test_anchors_and_merges_are_followed_and_mistakes_in_them_point_at_the_anchor(tmp_path: Path) -> None:
    text = HEAD.replace("{type: n1-standard-2}", "{type: n1-standard-2, replicas: &two {min: 2, max: 4}}")
    good = (
        text + "rollout: {standby: &s {hold: 30m}, checks: [&c {metric: a, p95_at_most: 1.5e2}, {<<: *c, metric: b}]}\n"
    )
    assert problems_of(tmp_path, good) == []
    found = problems_of(tmp_path, good.replace("{<<: *c, metric: b}", "{<<: *c, metric: B}"))
    assert [line.split(";")[0] for line in found] == ["5: rollout.checks[1].metric: 'B' is not allowed here"]
