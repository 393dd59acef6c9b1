"""A version is there: the offline gate, and one rollout record per model@version and target."""

from __future__ import annotations

from dataclasses import replace

from shared import log
from shared.actions.aliasing import recent_rollouts
from shared.actions.gating import assess_gate
from shared.actions.indexing import index_foreign
from shared.actions.policies import home_of, target_ref
from shared.actions.record import Telling, announce, ledger_entry, publish_due, record_entry
from shared.errors import NotYetError
from shared.events.model import ModelUploaded
from shared.rollout.aliases import CHAMPION, DEFAULT, desired_aliases
from shared.rollout.copies import Place, is_copy
from shared.rollout.gate import GateResult
from shared.rollout.lineage import is_twin
from shared.rollout.names import label_value, rollout_id
from shared.rollout.observed import ModelVersion
from shared.rollout.record import LedgerEntry, Phase, Rollout, Verdict
from shared.store.store import StoredPolicy
from shared.wiring import World

ACTOR = "start_rollout"


def start_rollouts(world: World, uploaded: ModelUploaded, event: str) -> list[str]:
    """Record the rollouts of one version; the ids of those that are new. The same event again finds them recorded."""
    stored = world.store.policy(uploaded.model)
    if stored is None:
        log.info(f"ignored: no policy for model {uploaded.model}")
        return []
    versions = world.registry.versions(uploaded.project, uploaded.region, uploaded.model)
    version = _resolve(versions, uploaded)
    if is_twin(version, versions):
        log.warning(
            f"{version.model} v{version.version} is a second upload of the same training run; the first one is delivered"
        )
        return []
    if is_copy(version):
        log.info(f"ignored: {version.model} v{version.version} in {version.region} is a copy of another version")
        return []
    home = home_of(world, stored.policy)
    if is_elsewhere(version, home):
        _say_elsewhere(world, version, home, event)
        return []
    index_foreign(world, version)
    earlier = recent_rollouts(world, uploaded.model, len(stored.policy.targets))
    gate = assess_gate(world, stored.policy, version, earlier, version.created_at or world.now())
    champion = desired_aliases(earlier, len(stored.policy.targets)).get(CHAMPION)
    started = []
    for index in range(len(stored.policy.targets)):
        rollout = _new_rollout(world, stored, version, index, gate)
        telling = _tell(stored, version, gate, champion, uploaded, event)
        entry = ledger_entry(rollout, telling, world.now())
        if world.store.create_rollout(rollout, entry):
            announce(world, replace(entry, id=f"{rollout.id}-0001"), notice=True)
            started.append(rollout.id)
        # Published again for one that is recorded already: the first delivery may have died in between.
        publish_due(world, [rollout.id])
    return started


def is_elsewhere(version: ModelVersion, home: Place) -> bool:
    """Whether it is not where the model's versions are registered; a project that is known by its number only is taken as the right one."""
    project, region = home
    return version.region != region or not (version.project == project or version.project.isdigit())


def _say_elsewhere(world: World, version: ModelVersion, home: Place, event: str) -> None:
    """Into the ledger, once: whoever uploaded it waits for a rollout that does not come."""
    is_region = version.region != home[1]
    here, wanted = (version.region, home[1]) if is_region else (version.project, home[0])
    entry = LedgerEntry(
        id=label_value(f"elsewhere-{here}-{version.model}-v{version.version}"),
        rollout="",
        model=version.model,
        at=world.now(),
        decision="note",
        sentence=f"Not delivered: {version.model} v{version.version} is in {here}, the policy's first target is in {wanted};"
        " a version is registered where that is, and copied to the others",
        severity="warning",
        version=version.version,
        event=event,
        actor=ACTOR,
    )
    record_entry(world, entry)


def _resolve(versions: list[ModelVersion], uploaded: ModelUploaded) -> ModelVersion:
    """The version that the event means; an audit entry may lack the number, then it is the newest."""
    found = [v for v in versions if uploaded.version in (None, v.version)]
    if not found:
        raise NotYetError(f"{uploaded.model}@{uploaded.version or 'newest'} is not visible yet")
    return found[-1]


def _new_rollout(world: World, stored: StoredPolicy, version: ModelVersion, index: int, gate: GateResult) -> Rollout:
    now, target = world.now(), target_ref(world, stored.policy.targets[index])
    rejected = gate.verdict is Verdict.FAIL
    return Rollout(
        id=rollout_id(version.model, version.version, target),
        model=version.model,
        version=version.version,
        target=target,
        target_index=index,
        policy_version=stored.version,
        phase=Phase.REJECTED if rejected else Phase.QUEUED,
        created_at=version.created_at or now,
        updated_at=now,
        phase_since=now,
        aliases_due=stored.policy.mode == "enforce",
        sentence=gate.sentence,
    )


def _tell(
    stored: StoredPolicy,
    version: ModelVersion,
    gate: GateResult,
    champion: str | None,
    uploaded: ModelUploaded,
    event: str,
) -> Telling:
    by = f" by {uploaded.by}" if uploaded.by else ""
    moved = (
        f" It took `default` from the champion v{champion}, which gets it back."
        if champion and champion != version.version and DEFAULT in version.aliases
        else ""
    )
    if gate.verdict is Verdict.FAIL:
        sentence = f"Rejected {version.model} v{version.version} by the gate: {gate.sentence}.{moved}"
        return Telling("reject", sentence, "warning", gate.checks, event=event, actor=ACTOR)
    observing = " (observing only)" if stored.policy.mode == "observe" else ""
    sentence = f"Queued {version.model} v{version.version}{observing}, uploaded{by}: {gate.sentence}.{moved}"
    return Telling("start", sentence, "info", gate.checks, event=event, actor=ACTOR)
