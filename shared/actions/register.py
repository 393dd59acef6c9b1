"""A training run is over: exactly one new version, with its lineage.

Vertex AI gives no version id to choose, so a repetition is recognised by us: the run is claimed, the upload carries the run as a label,
and before anything is uploaded the versions with that label are listed. Who dies in between leaves a lease that runs out and an upload
that shows itself by its label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import log, topics
from shared.actions.indexing import index_version
from shared.actions.record import record_entry
from shared.errors import AlreadyExistsError, NotYetError, PermanentError, RolloutsError, TransientError
from shared.events.model import ModelUploaded, model_uploaded_message
from shared.events.training import TrainingRun
from shared.policy.schema import Policy
from shared.rollout.aliases import CANDIDATE, DEFAULT
from shared.rollout.lineage import CODE, DATASET, JOB, RUN, VARIANT_OF
from shared.rollout.names import label_key, label_value
from shared.rollout.observed import ModelVersion
from shared.rollout.record import LedgerEntry
from shared.store.store import Claim
from shared.wiring import World

if TYPE_CHECKING:
    from shared.vertex.registry import UploadSpec

LEASE = timedelta(minutes=15)
"""Longer than an upload takes: within it an upload whose answer was lost becomes visible."""


IMPORTING = timedelta(minutes=2)
"""Longer than an import and the function's own time: until then another delivery leaves the evaluation to the one that imports it."""


@dataclass(frozen=True)
class Training:
    """A run with everything that the version will carry."""

    run: TrainingRun
    policy: Policy
    project: str
    region: str
    artifact_uri: str
    metrics: Mapping[str, float]
    dataset: str
    adopted: str = ""
    """``model@version`` that Vertex AI registered by itself; it is adopted, not uploaded again."""

    @property
    def label(self) -> str:
        """The run's identity, as it stands on the version."""
        return label_value(f"{self.run.kind}-{self.run.run_id}")

    @property
    def claim(self) -> str:
        """Who registers it is agreed upon under this name; people choose the ids in plain messages, and two teams may choose the same."""
        return label_value(f"{self.policy.model}-{self.label}")


def register_model(world: World, run: TrainingRun, holder: str) -> list[ModelVersion]:
    """The versions of this run, made or found: one for each policy that wants it. NotYetError while an upload is under way.

    One that is refused does not keep the others from being registered, and is told once they are.
    """
    finished = _read(world, run)
    policies = _matching(world, finished.run)
    if not policies:
        log.info(f"ignored: no policy registers {run.kind} {finished.run.display_name or run.model or run.run_id}")
    done: list[ModelVersion] = []
    refused: list[RolloutsError] = []
    for policy in policies:
        try:
            version = _register(world, _training(world, policy, finished), holder)
        except RolloutsError as exc:
            refused.append(exc)
            continue
        if version is not None:
            done.append(version)
    if refused:
        raise next((exc for exc in refused if isinstance(exc, TransientError)), refused[0])
    return done


def _register(world: World, training: Training, holder: str) -> ModelVersion | None:
    run = training.run
    if training.policy.mode == "observe":
        _say_only(world, training)
        return None
    claim = world.store.claim(training.claim, holder, world.now(), LEASE)
    if claim.state == "done":
        log.info(f"{training.policy.model} v{claim.version} is registered already for run {run.run_id}")
        return world.registry.version(training.project, training.region, claim.model, claim.version)
    version = _find(world, training)
    if version is None:
        version = _upload(world, training, claim, holder)
    return _complete(world, training, claim, version)


def _say_only(world: World, training: Training) -> None:
    """Observe mode writes nothing to Vertex AI: that the run ended goes into the ledger, once."""
    sentence = f"Would have registered run {training.run.run_id} as a version of {training.policy.model}"
    entry = LedgerEntry(
        id=label_value(f"run-{training.label}"),
        rollout="",
        model=training.policy.model,
        at=world.now(),
        decision="note",
        sentence=sentence,
        actor="register_model (observing)",
    )
    record_entry(world, entry)


@dataclass(frozen=True)
class _Finished:
    """A run, with what its job says besides."""

    run: TrainingRun
    artifacts: Mapping[str, str]
    """By name: the outputs of a pipeline, and a message's variants."""
    metrics: Mapping[str, float]
    dataset: str = ""
    uploaded: str | None = None
    """The version that the job has registered by itself."""


def _read(world: World, run: TrainingRun) -> _Finished:
    """What the message did not say."""
    found = _read_pipeline(world, run) if run.kind == "pipeline" else _Finished(run, {}, {})
    variants = {name: one.artifact_uri for name, one in run.variants.items()}
    return replace(found, artifacts={**found.artifacts, **variants})


def _training(world: World, policy: Policy, finished: _Finished) -> Training:
    """What one policy makes of it."""
    run, own, artifacts = finished.run, policy.register_, finished.artifacts
    is_variant = own.artifact is not None and (own.artifact in artifacts or own.variant_of is not None)
    artifact = _pick(policy, artifacts, run) if is_variant else run.artifact_uri or _pick(policy, artifacts, run)
    variant = run.variants.get(own.artifact or "")
    # What the message says of the run's own model is not true of another one.
    is_other = variant is not None or own.variant_of is not None
    said = variant.metrics if variant else None if is_other else run.metrics or finished.metrics
    adopted = finished.uploaded or (run.labels.get(ADOPTED, "") if run.kind == "training_pipeline" else "")
    if not artifact and not adopted:
        raise PermanentError(
            f"{run.kind} {run.run_id} says nothing of where its model is; give artifact_uri, or base_output_directory to the job"
        )
    return Training(
        run=run,
        policy=policy,
        project=run.project or policy.targets[0].project or world.project,
        region=run.region or policy.targets[0].region,
        artifact_uri=artifact or "",
        metrics=said or {},
        dataset=run.dataset or finished.dataset,
        adopted=adopted or "",
    )


ADOPTED = "vr-uploaded-model"
"""The label under which ``find_training_runs`` hands on what a TrainingPipeline registered by itself."""


def _read_pipeline(world: World, run: TrainingRun) -> _Finished:
    """The log entry of a PipelineJob names neither its display name nor its artifacts: the job is read."""
    project, region = run.project or world.project, run.region
    if not region:
        raise PermanentError(f"pipeline job {run.run_id}: its log entry names no region")
    job = world.jobs.pipeline_job(project, region, run.run_id)
    if job is None:
        raise PermanentError(f"pipeline job {project}/{region}/{run.run_id} does not exist")
    if job.state != "SUCCEEDED":
        raise NotYetError(f"pipeline job {run.run_id} is {job.state} although its log says it succeeded")
    read = replace(
        run,
        display_name=job.display_name,
        artifact_uri=run.artifact_uri or job.artifact_uri or None,
        labels={**job.labels, **run.labels},
        pipeline_job=job.resource,
        code_revision=run.code_revision or job.labels.get("code_revision") or job.labels.get("git-sha"),
    )
    return _Finished(read, job.artifacts, job.metrics, job.dataset, job.uploaded_model)


def _pick(policy: Policy, artifacts: Mapping[str, str], run: TrainingRun) -> str | None:
    wanted = policy.register_.artifact
    if wanted and wanted not in artifacts:
        known = ", ".join(sorted(artifacts)) or "none"
        raise PermanentError(
            f"pipeline job {run.run_id} has no model output {wanted!r} (register.artifact); it has: {known}"
        )
    if wanted:
        return artifacts[wanted]
    if len(artifacts) > 1:
        names = ", ".join(sorted(artifacts))
        raise PermanentError(f"pipeline job {run.run_id} has several models ({names}); name one in register.artifact")
    return next(iter(artifacts.values()), None)


def _matching(world: World, run: TrainingRun) -> list[Policy]:
    """By the model that a plain message names, or by the job's display name."""
    found = []
    for stored in world.store.policies():
        source = stored.policy.register_.source
        wanted = {
            "pipeline": source.pipeline,
            "custom_job": source.custom_job,
            "training_pipeline": source.training_pipeline,
        }.get(run.kind)
        if run.kind == "message":
            if source.message and run.model in (stored.model, stored.policy.register_.variant_of):
                found.append(stored.policy)
        elif wanted and wanted == run.display_name:
            found.append(stored.policy)
    return found


def _find(world: World, training: Training) -> ModelVersion | None:
    """The version that this run made, however often it was tried; should there be two, the lowest."""
    model = training.policy.model
    if training.adopted:
        name, _, number = training.adopted.partition("@")
        found = world.registry.version(training.project, training.region, name, number or DEFAULT)
        if found is None:
            raise NotYetError(f"{training.adopted} was registered by its training pipeline and is not visible yet")
        if name != model:
            raise PermanentError(
                f"{training.run.run_id} registered its model as {name}, the policy is for {model}; give the job that model id"
            )
        return found
    versions = world.registry.versions(training.project, training.region, model, (RUN, training.label))
    return versions[0] if versions else None


def _upload(world: World, training: Training, claim: Claim, holder: str) -> ModelVersion:
    """Start the upload, or look at the one that was started; raises until a version can be seen."""
    if claim.state == "uploading":
        operation = world.registry.operation(training.region, claim.operation)
        if not operation.done:
            raise NotYetError(f"the upload of run {training.run.run_id} is under way")
        if not operation.error:
            raise NotYetError(f"the upload of run {training.run.run_id} is done and not visible yet")
        claim = world.store.update_claim(
            replace(claim, state="claimed", holder=holder, lease_until=world.now(), operation="")
        )
        if not operation.retryable:
            raise PermanentError(f"Vertex AI refused the model of run {training.run.run_id}: {operation.error}")
        raise TransientError(f"the upload of run {training.run.run_id} failed and is tried again: {operation.error}")
    if claim.holder != holder:
        raise NotYetError(
            f"another delivery is registering run {training.run.run_id} until {claim.lease_until:%H:%M:%S} UTC"
        )
    try:
        operation_name = world.registry.upload(_spec(world, training))
    except AlreadyExistsError as exc:
        # An upload of ours whose answer was lost, which shows itself by its label; or somebody else's model, to which ours is added next.
        raise NotYetError(f"the upload of run {training.run.run_id} met one that is there already: {exc}") from exc
    world.store.update_claim(replace(claim, state="uploading", operation=operation_name, model=training.policy.model))
    raise NotYetError(f"the upload of run {training.run.run_id} has begun")


def _spec(world: World, training: Training) -> UploadSpec:
    from shared.vertex.registry import UploadSpec

    policy, run = training.policy, training.run
    existing = world.registry.version(training.project, training.region, policy.model, DEFAULT)
    if existing is None and policy.model.isdigit():
        raise PermanentError(
            f"model {policy.model} is not in {training.project}/{training.region}, and only Vertex AI gives numbers to models; "
            "name an existing model in the policy, or choose an id that begins with a letter"
        )
    return UploadSpec(
        project=training.project,
        region=training.region,
        model_id=policy.model,
        is_new_model=existing is None,
        display_name=policy.display_name or policy.model,
        container=policy.register_.container,
        artifact_uri=training.artifact_uri,
        labels=version_labels(training),
        version_aliases=(CANDIDATE,),
        description=describe(training),
        pipeline_job=run.pipeline_job,
    )


def version_labels(training: Training) -> dict[str, str]:
    """Governance labels of the policy and of the run, and the lineage."""
    run = training.run
    given = {**{k: v for k, v in run.labels.items() if k != ADOPTED}, **training.policy.register_.labels}
    labels = {label_key(key): label_value(value) for key, value in given.items()}
    lineage = {RUN: training.label, DATASET: training.dataset, CODE: run.code_revision, JOB: run.display_name}
    lineage[VARIANT_OF] = training.policy.register_.variant_of
    return labels | {key: label_value(value) for key, value in lineage.items() if value}


def describe(training: Training) -> str:
    """The lineage in full: labels are short, and what they had to shorten stands here."""
    run = training.run
    parts = [
        f"run {run.resource or run.run_id}",
        f"artifact {training.artifact_uri}" if training.artifact_uri else "",
        f"dataset {training.dataset}" if training.dataset else "",
        f"code {run.code_revision}" if run.code_revision else "",
        f"finished {run.finished_at:%Y-%m-%d %H:%M} UTC" if run.finished_at else "",
    ]
    return "; ".join(p for p in parts if p)


def _complete(world: World, training: Training, claim: Claim, version: ModelVersion) -> ModelVersion:
    """Labels, evaluation, event, and only then done: each is looked for before it is made."""
    wanted = version_labels(training)
    if not wanted.items() <= dict(version.labels).items():
        version = world.registry.set_labels(version, {**version.labels, **wanted})
    if training.metrics and not _is_evaluated(world, training, version):
        claim = _import_evaluation(world, training, claim, version)
    index_version(world, version, training.metrics)
    uploaded = ModelUploaded(
        version.project, version.region, version.model, version.version, by="register_model", at=version.created_at
    )
    world.publisher.publish(topics.MODEL_UPLOADED, model_uploaded_message(uploaded))
    world.store.update_claim(replace(claim, state="done", model=version.model, version=version.version))
    log.info(f"Registered {version.model} v{version.version} from run {training.run.run_id}", version=version.version)
    return version


def _import_evaluation(world: World, training: Training, claim: Claim, version: ModelVersion) -> Claim:
    """One delivery at a time: Vertex AI would take the same evaluation a second time and give it a name of its own.

    The claim was read before the evaluations were looked for, so whoever imported in between has changed it, and ours is refused.
    """
    now = world.now()
    if claim.importing_until and claim.importing_until > now:
        raise NotYetError(f"another delivery imports the evaluation of run {training.run.run_id}")
    claim = world.store.update_claim(replace(claim, importing_until=now + IMPORTING))
    try:
        world.registry.import_evaluation(
            version, training.metrics, {"run": training.label}, f"run {training.run.run_id}"
        )
    except Exception:
        world.store.update_claim(replace(claim, importing_until=None))
        raise
    return claim


def _is_evaluated(world: World, training: Training, version: ModelVersion) -> bool:
    return any(e.metadata.get("run") == training.label for e in world.registry.evaluations(version))
