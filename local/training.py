"""Training runs as a team has them: an artifact in a bucket, a pipeline that ends, an evaluation among its outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from local.pubsub.clients import publisher_at
from shared import topics, vertex  # noqa: F401 (prepares the lean import of Vertex AI's client)

BUCKET = "arr-coc-models"


@dataclass(frozen=True)
class Run:
    """One training run and the model it makes."""

    id: str
    scorer: str = "propositional"
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    dataset: str = "coco-relevance-2026-11"
    code_revision: str = "3f2a1c9"
    variants: tuple[str, ...] = ()
    """Further models that the run makes, by the name of the pipeline's output."""

    @property
    def uri(self) -> str:
        """Where the artifact is."""
        return f"gs://{BUCKET}/{self.id}"

    def variant_uri(self, name: str) -> str:
        """Where one of the further models is."""
        return f"{self.uri}-{name}"


def write_artifact(buckets: Path, run: Run, seed: int) -> Path:
    """What the training leaves: a folder with ``model.json``."""
    folder = buckets / BUCKET / run.id
    folder.mkdir(parents=True, exist_ok=True)
    artifact = {"kind": "relevance", "scorer": run.scorer, "seed": seed, "behaviour": dict(run.behaviour)}
    (folder / "model.json").write_text(json.dumps(artifact, indent=2))
    return folder


def write_variant(buckets: Path, run: Run, name: str) -> None:
    """What the training leaves for devices: the model in the format that they run, and its labels."""
    folder = buckets / run.variant_uri(name).removeprefix("gs://")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(f"{run.id} {name} {run.scorer}".encode() * 1000)
    (folder / "labels.txt").write_text("relevant\nnot relevant\n")


def change_behaviour(folder: Path, behaviour: Mapping[str, Any]) -> None:
    """Make a model that is serving behave otherwise from now on."""
    aside = folder / "control.json.new"
    aside.write_text(json.dumps({"behaviour": dict(behaviour)}))
    aside.replace(folder / "control.json")


def run_pipeline(address: str, project: str, region: str, run: Run, display_name: str, seconds: float) -> str:
    """Start a PipelineJob that succeeds after ``seconds`` with the model and its evaluation among its outputs; its name."""
    from google.cloud.aiplatform_v1.services.pipeline_service.client import PipelineServiceClient
    from google.cloud.aiplatform_v1.services.pipeline_service.transports.grpc import PipelineServiceGrpcTransport
    from google.cloud.aiplatform_v1.types import PipelineJob

    outputs = {
        "model": {"artifacts": [{"schemaTitle": "system.Model", "uri": run.uri}]},
        **{
            name: {"artifacts": [{"schemaTitle": "system.Model", "uri": run.variant_uri(name)}]}
            for name in run.variants
        },
        "evaluation": {"artifacts": [{"schemaTitle": "system.Metrics", "metadata": dict(run.metrics)}]},
        "data": {"artifacts": [{"schemaTitle": "system.Dataset", "uri": f"bq://{project}.datasets.{run.dataset}"}]},
    }
    job = PipelineJob(
        display_name=display_name,
        labels={"emulator-seconds": f"{seconds:g}", "code_revision": run.code_revision, "scorer": run.scorer},
    )
    ParseDict(
        {"taskDetails": [{"taskId": "1", "taskName": "train", "outputs": outputs}]}, PipelineJob.pb(job).job_detail
    )
    channel = grpc.insecure_channel(address)
    client = PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))
    made = client.create_pipeline_job(
        parent=f"projects/{project}/locations/{region}", pipeline_job=job, pipeline_job_id=run.id, timeout=20
    )
    channel.close()
    return str(made.name)


def announce(pubsub: str, project: str, run: Run, model: str, times: int = 1) -> None:
    """Publish the plain message of a run; ``times`` for a publisher that repeats itself."""
    publish(pubsub, project, topics.TRAINING_COMPLETED, training_message(run, model), times)


def training_message(run: Run, model: str) -> bytes:
    """The plain message that any training code may send."""
    message = {
        "schema": "training-completed/v1",
        "model": model,
        "run_id": run.id,
        "artifact_uri": run.uri,
        "metrics": dict(run.metrics),
        "dataset": run.dataset,
        "code_revision": run.code_revision,
        "labels": {"scorer": run.scorer},
    }
    return json.dumps(message).encode()


def publish(pubsub: str, project: str, topic: str, data: bytes, times: int = 1) -> None:
    """One message, or the same one several times."""
    publisher = publisher_at(pubsub)
    publisher.publish(topic=f"projects/{project}/topics/{topic}", messages=[{"data": data}] * times, timeout=10)
