"""CustomJobs and TrainingPipelines announce nothing when they end: they are listed, and published as if they had."""

from __future__ import annotations

from datetime import timedelta

from shared import log, topics
from shared.actions.register import ADOPTED
from shared.errors import RolloutsError
from shared.events.training import Kind, TrainingRun, training_completed_message
from shared.policy.schema import Policy
from shared.rollout.names import label_value
from shared.wiring import World

LOOK_BACK = timedelta(hours=24)
"""As long as an event lives: a pause of the schedule shorter than a day loses nothing."""


def find_training_runs(world: World) -> list[TrainingRun]:
    """Publish every run that a policy waits for and that was not published before."""
    policies = [stored.policy for stored in world.store.policies()]
    found: list[TrainingRun] = []
    for kind in ("custom_job", "training_pipeline"):
        for project, region in sorted(_places(world, policies, kind)):
            try:
                found += _find(world, policies, kind, project, region)
            except RolloutsError as exc:
                log.warning(f"jobs of {project}/{region} cannot be read in this tick: {exc}")
    for run in found:
        world.publisher.publish(topics.TRAINING_COMPLETED, training_completed_message(run))
        # Marked after publishing: a crash in between publishes twice, which registration recognises.
        world.store.mark_once("run", _mark(run), world.now(), LOOK_BACK * 2)
        log.info(f"found {run.kind} {run.display_name} {run.run_id}")
    return found


def _source(policy: Policy, kind: str) -> str | None:
    source = policy.register_.source
    return source.custom_job if kind == "custom_job" else source.training_pipeline


def _places(world: World, policies: list[Policy], kind: str) -> set[tuple[str, str]]:
    return {(t.project or world.project, t.region) for p in policies if _source(p, kind) for t in p.targets[:1]}


def _find(world: World, policies: list[Policy], kind: Kind, project: str, region: str) -> list[TrainingRun]:
    """One list call per kind and region, whatever the number of policies."""
    since = world.now() - LOOK_BACK
    wanted = {_source(p, kind) for p in policies}
    jobs = (
        world.jobs.custom_jobs(project, region, since)
        if kind == "custom_job"
        else world.jobs.training_pipelines(project, region, since)
    )
    runs = [
        TrainingRun(
            kind=kind,
            run_id=job.run_id,
            project=project,
            region=region,
            resource=job.resource,
            display_name=job.display_name,
            model=None,
            artifact_uri=job.artifact_uri or None,
            labels={**job.labels, **({ADOPTED: job.uploaded_model} if job.uploaded_model else {})},
            metrics=dict(job.metrics) or None,
            dataset=job.dataset or None,
            code_revision=job.labels.get("code_revision") or job.labels.get("git-sha"),
            pipeline_job=None,
            finished_at=job.finished_at,
        )
        for job in jobs
        if job.display_name in wanted
    ]
    return [run for run in runs if not world.store.is_marked("run", _mark(run), world.now())]


def _mark(run: TrainingRun) -> str:
    return label_value(f"{run.kind}-{run.region}-{run.run_id}")
