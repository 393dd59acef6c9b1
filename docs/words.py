"""What the keys mean that the policy's source leaves to their names, by class and key; ``docs.generate`` puts it into the tables."""

from __future__ import annotations

from collections.abc import Mapping

_OF_METRIC = "In the unit of the metric; `latency_ms` is in milliseconds."

WORDS: Mapping[str, str] = {
    "Policy.model": "The model's id in the Model Registry; the first version creates it.",
    "Policy.alerts": "What an alert from outside may do.",
    "Policy.budget": "Without one nothing is asked about money.",
    "Policy.access": "Who may command, by the e-mail address in a verified ID token.",
    "Policy.display_name": "The model's name in the console; without it the id.",
    "Target.region": "Versions are delivered in the region in which they were uploaded.",
    "Target.access_logging": "Whether Vertex AI logs every request (DeployedModel.enable_access_logging).",
    "RequestLogging.sample": "Share of requests and answers that are kept.",
    "RequestLogging.table": "Where they go.",
    "TrainingSource.pipeline": "Display name of the PipelineJob. It announces its end by a log entry.",
    "TrainingSource.custom_job": "Display name of the CustomJob. It announces nothing, so finished ones are looked for every few minutes.",
    "TrainingSource.training_pipeline": "Display name of the TrainingPipeline; looked for like a CustomJob. A model that it has uploaded "
    "by itself is adopted, not uploaded again.",
    "TrainingSource.message": "Whether a message on `training-completed` that names this model counts.",
    "Container.image": "The serving container, in Artifact Registry.",
    "Container.predict_route": "Where predictions are posted (ModelContainerSpec.predict_route).",
    "Container.health_route": "What Vertex AI asks before it sends traffic.",
    "Container.port": "Where the container listens.",
    "Container.command": "Instead of the image's entry point.",
    "Container.args": "Arguments of the command.",
    "Container.env": "Environment of the container. Not for secrets: it can be read in the registry.",
    "GateMetric.name": "As in the evaluation that was imported for the version.",
    "GateMetric.at_least": "An absolute floor.",
    "GateMetric.at_most": "An absolute ceiling.",
    "GateMetric.not_below_champion_by": "How much worse than the version in use it may be, where more is better.",
    "GateMetric.not_above_champion_by": "The same, where less is better.",
    "FixedMetric.name": "What it is called in sentences and in the ledger.",
    "FixedMetric.kind": "`accuracy`: the share of answers that are the truth. `auc`: the area under the ROC curve, a truth above 0 being positive. "
    "`mean_absolute_error`, `mean_squared_error`: how far the number is from the truth. `mean`: of the numbers themselves, without a truth.",
    "FixedMetric.at_least": "An absolute floor.",
    "FixedMetric.at_most": "An absolute ceiling.",
    "FixedMetric.not_below_champion_by": "How much worse than the champion's answers it may be, where more is better.",
    "FixedMetric.not_above_champion_by": "The same, where less is better.",
    "BatchMachine.type": "What the job runs on; it is paid for as long as the job runs.",
    "BatchMachine.replicas": "How many of it answer at once.",
    "Machine.type": "One deployed model runs on machines of its own.",
    "Accelerator.type": "Per replica.",
    "Accelerator.count": "Per replica.",
    "Replicas.max": "The autoscaler's upper bound. During a trial a stable may be pinned at what it has, a candidate never gets more than this.",
    "Autoscale.cpu": "Percent of CPU that Vertex AI aims at; without any target its own default of 60.",
    "Autoscale.gpu": "Percent of GPU duty cycle; needs an accelerator.",
    "Machine.spot": "Spot machines: cheaper, and taken away at any time.",
    "Comparison.kind": "`exact`: equal, numbers to six digits. `numeric`: every number within the tolerance, everything else equal. "
    "`label`: the same label, or where there are scores the same highest. `ranking`: the same first, and enough of the first `top` in common.",
    "Check.metric": "`error_rate` (share of 5xx answers) and `latency_ms` are measured by Vertex AI; any other name is a metric of your own: "
    "reported on `quality-reported`, or a distribution in Cloud Monitoring, `custom.googleapis.com/vertex_rollouts/NAME`.",
    "Check.p50_at_most": f"Limit of the median. {_OF_METRIC}",
    "Check.p95_at_most": f"Limit of the 95th percentile. {_OF_METRIC}",
    "Check.p99_at_most": f"Limit of the 99th percentile. {_OF_METRIC}",
    "Check.mean_at_most": f"Limit of the mean. {_OF_METRIC}",
    "Check.mean_at_least": f"Floor of the mean. {_OF_METRIC}",
    "Check.share_above": "How many values may lie above an edge; an edge should be a bucket's edge of the distribution.",
    "Check.share_below": "How many values may lie below an edge.",
    "Check.outside": "The share that may lie outside `range`.",
    "Window.until": "One that ends before it begins goes on into the day after; `24:00` is the end of the day.",
    "Window.zone": "The zone whose clocks count.",
    "Freeze.zone": "The zone whose calendar counts.",
    "RolloutSpec.no_data": "The candidate has no data for a gating check. Counted from when it last had some, and the metrics' lag comes on top.",
    "RolloutSpec.provider_error": "Cloud Monitoring cannot be read.",
    "Patience.after": "How long it is borne, from the stage's shift or the last resume at the earliest.",
    "Patience.then": "What follows: `hold` only says so, `pause` waits for a person, `roll_back` gives the traffic back.",
    "RolloutSpec.deploy_attempts": "Deployments that failed for want of quota or capacity are tried again, after 5 minutes, then 10, then 20.",
}
