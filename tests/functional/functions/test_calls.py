"""What one handled event costs: calls to Google, by method, exactly."""

from __future__ import annotations

from collections import Counter

from local.stepped import PROJECT
from shared import topics
from tests.functional.functions.harness import Cloud
from tests.functional.functions.policies import ERRORS, judged


def due(cloud: Cloud, version: str) -> dict[str, str]:
    return {"schema": "rollout-due/v1", "rollout": cloud.rollout(version).id}


def test_registering_a_version(cloud: Cloud) -> None:
    cloud.apply(judged())
    with cloud.cost() as begun:
        cloud.wake("register_model", cloud.train())
    cloud.advance(seconds=61)
    cloud.published(topics.MODEL_UPLOADED)
    with cloud.cost() as done:
        cloud.wake("register_model", cloud.train())
    with cloud.cost() as again:
        cloud.wake("register_model", cloud.train())
    begun.pop("publish:model-uploaded")  # the log entry of the upload's beginning
    assert begun == {"ListModelVersions": 1, "GetModel": 1, "UploadModel": 1}
    assert done == {
        "ListModelVersions": 1,
        "ListModelEvaluations": 1,
        "ImportModelEvaluation": 1,
        "publish:model-uploaded": 1,
    }
    assert again == {"GetModel": 1}


def test_starting_a_rollout(cloud: Cloud) -> None:
    cloud.apply(judged(gate={"metrics": [{"name": "auc", "at_least": 0.8, "not_below_champion_by": 0.01}]}))
    cloud.deploy("run-1")
    cloud.register("run-2")
    message = next(m for m in cloud.published(topics.MODEL_UPLOADED) if b"register_model" in m.data)
    with cloud.cost() as spent:
        cloud.wake("start_rollout", message.data)
    assert spent == {
        "ListModelVersions": 1,
        "ListModelEvaluations": 2,
        "publish:rollout-changed": 1,
        "publish:rollout-due": 1,
    }


def test_each_step_of_a_rollout(cloud: Cloud) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.minutes(1)
    cloud.register("run-2")
    cloud.deliver(topics.MODEL_UPLOADED)
    steps = []
    for minutes in (0, 11, 1):
        cloud.advance(minutes=minutes)
        with cloud.cost() as spent:
            assert cloud.wake("advance_rollout", due(cloud, "2")) == 200
        steps.append(spent)
    deploy, shift, nothing = steps
    assert deploy == {
        "GetModel": 1,
        "GetEndpoint": 1,
        "DeployModel": 1,
        "ListModelVersions": 1,
        "publish:rollout-changed": 1,
    }
    assert shift == {
        "GetEndpoint": 1,
        "GetOperation": 1,
        "UpdateEndpoint": 1,
        "publish:rollout-changed": 1,
    }
    assert nothing == {"GetEndpoint": 1}


def test_rolling_back_is_one_read_and_one_write(cloud: Cloud) -> None:
    cloud.apply(judged())
    cloud.deploy("run-1")
    cloud.deploy("run-2")
    cloud.advance(minutes=5)
    with cloud.cost() as spent:
        assert cloud.wake("roll_back", cloud.alarm()) == 200
    assert cloud.split() == {"1": 100}
    assert spent == {"GetEndpoint": 1, "UpdateEndpoint": 1, "publish:rollout-changed": 1, "publish:rollout-due": 1}


def test_a_tick_costs_the_same_for_one_rollout_and_for_thirty(cloud: Cloud) -> None:
    one = _tick(cloud, 1)
    assert one == {"ListEndpoints": 1, "ListTimeSeries": 1}
    assert _tick(cloud, 30) == one


def _tick(cloud: Cloud, number: int) -> Counter[str]:
    """A tick with so many rollouts in their watch, each on an endpoint of its own; calls of Vertex AI and Monitoring."""
    models = [f"churn-{number}-{i}" for i in range(number)]
    for model in models:
        targets = [{"region": "us-central1", "endpoint": f"{model}-serving"}]
        cloud.apply(judged(model=model, targets=targets, rollout={"checks": [ERRORS]}))
        cloud.wake("register_model", cloud.train(model=model, run_id=model, metrics=None))
    cloud.advance(seconds=61)
    for model in models:
        cloud.wake("register_model", cloud.train(model=model, run_id=model, metrics=None))
    cloud.settle()
    for minutes in (1, 11, 1):
        cloud.advance(minutes=minutes)
        cloud.tick("assess_rollouts")
        cloud.settle()
    cloud.advance(minutes=2)
    for model in models:
        assert cloud.split(f"{model}-serving") == {"1": 100}
        cloud.serve(100, {}, f"{model}-serving")
    cloud.advance(minutes=5)
    with cloud.cost() as spent:
        assert cloud.tick("assess_rollouts") == 200
    for model in models:
        rollout = cloud.rollout("1", model)
        found = cloud.world.store.evidence.of(rollout.id)
        assert found is not None
        assert found.arm(rollout.deployed_id).requests == 100
    return Counter({method: n for method, n in spent.items() if not method.startswith("publish:")})


def test_ticks_with_nothing_to_do(cloud: Cloud) -> None:
    cloud.apply(judged())
    with cloud.cost() as spent:
        assert cloud.tick("assess_rollouts") == 200
        assert cloud.tick("find_training_runs") == 200
    assert not spent
    with cloud.cost() as spent:
        assert cloud.tick("retire_models") == 200
    assert spent == {"ListEndpoints": 1}


def test_looking_for_training_runs_is_one_list_for_any_number_of_policies(cloud: Cloud) -> None:
    for number in range(5):
        source = {"from": {"custom_job": f"train-{number}"}, "container": {"image": "sim/churn:1"}}
        targets = [{"region": "us-central1", "endpoint": f"serving-{number}"}]
        cloud.apply(judged(model=f"churn-{number}", targets=targets, register=source))
    with cloud.cost() as spent:
        assert cloud.tick("find_training_runs") == 200
    assert spent == {"ListCustomJobs": 1}


def test_telling_people_costs_google_nothing(cloud: Cloud) -> None:
    cloud.apply(judged(notify=[]))
    cloud.deploy("run-1")
    (message, *_) = cloud.published(topics.ROLLOUT_CHANGED)
    with cloud.cost() as spent:
        assert cloud.wake("notify", message.data) == 200
    assert not spent
    assert message.data.startswith(b'{"schema": "rollout-changed/v1"')
    assert PROJECT not in message.data.decode()
