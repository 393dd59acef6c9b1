"""Reading what the status page shows: the store, the endpoint as it is now, and what both arms served.

The store is needed; the endpoint and the metrics are not: a page that says what it cannot see is better than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from shared.actions.look import look
from shared.errors import RolloutsError
from shared.policy.schema import Policy
from shared.rollout.names import green_target
from shared.rollout.observed import Endpoint, Minute
from shared.rollout.pairing import merged
from shared.rollout.record import Rollout
from shared.rollout.split import format_split, same_split
from shared.view.looked import Looked
from shared.view.series import Measured, measured
from shared.view.timeline import span
from shared.wiring import World

COLUMNS = 120
"""Of the timeline: so many points per line at most."""
KEPT = timedelta(days=42)
"""How long Cloud Monitoring keeps what it has by the minute."""
CONSOLE = "https://console.cloud.google.com"


@dataclass(frozen=True)
class Part:
    """One arm of a split."""

    name: str
    share: int
    arm: str
    """``candidate``, ``stable`` or ``other``."""


@dataclass(frozen=True)
class Split:
    """A split as a line of the page."""

    title: str
    parts: Sequence[Part]
    text: str


@dataclass(frozen=True)
class Seen:
    """One rollout with what is around it at this moment."""

    looked: Looked
    traffic: Sequence[Split]
    differs: bool
    """Whether the endpoint has another split than was recorded last."""
    shares: Mapping[str, int]
    """Percent by deployed-model id: as the endpoint has it, else as it was recorded last."""
    machines: Sequence[str]
    measured: Sequence[Measured]
    metrics_error: str


def policies_of(world: World, rollouts: Sequence[Rollout]) -> Callable[[Rollout], Policy | None]:
    """The policies that rollouts keep, read at once."""
    found = world.store.policy_versions({(r.model, r.policy_version) for r in rollouts})
    return lambda r: found.get((r.model, r.policy_version))


def see(world: World, rollout: Rollout, now: datetime) -> Seen:
    """Everything that the page of a rollout shows."""
    looked = look(world.store, rollout, now)
    endpoint, unseen = _endpoint(world, rollout)
    minutes, error = _served(world, looked, now)
    checks = looked.policy.rollout.checks if looked.policy else []
    recorded = looked.moved.traffic_after if looked.moved else None
    is_ours = rollout.phase.is_open and recorded is not None and not rollout.shift
    return Seen(
        looked,
        _traffic(looked, endpoint, unseen),
        bool(endpoint and is_ours and recorded is not None and not same_split(recorded, endpoint.split)),
        endpoint.split if endpoint else recorded or {},
        _machines(looked, endpoint),
        [measured(check, minutes, rollout.deployed_id, rollout.stable_id) for check in checks],
        error,
    )


def _endpoint(world: World, rollout: Rollout) -> tuple[Endpoint | None, str]:
    try:
        endpoint = world.endpoints.get(rollout.target)
    except RolloutsError as exc:
        return None, f"cannot be read just now: {exc}"
    return endpoint, "" if endpoint else "there is no such endpoint"


def _served(world: World, looked: Looked, now: datetime) -> tuple[list[Minute], str]:
    """What both arms served, in at most ``COLUMNS`` parts; and why nothing can be said, if so."""
    r = looked.rollout
    if looked.policy is None or not r.deployed_id:
        return [], ""
    begin, end = span(r, now)
    begin = max(begin, end - KEPT)
    step = max(timedelta(minutes=1), timedelta(minutes=-(-int((end - begin).total_seconds() / 60) // COLUMNS)))
    names = {check.metric for check in looked.policy.rollout.checks}
    refs = [r.target, green_target(r.target)] if looked.policy.rollout.blue_green else [r.target]
    minutes: Sequence[Minute] = ()
    try:
        for key in ((ref.region, ref.endpoint) for ref in refs):
            found = world.metrics.minutes(r.target.project, begin, end, names, only={key}, step=step)
            minutes = merged(minutes, found.get(key, ()))
    except RolloutsError as exc:
        return [], str(exc)
    return list(minutes), ""


def _traffic(looked: Looked, endpoint: Endpoint | None, unseen: str) -> list[Split]:
    r, found = looked.rollout, []
    if r.shift and r.phase.is_open:
        found.append(_split("Wanted, not confirmed yet", r.shift.to, looked))
    if looked.moved and looked.moved.traffic_after is not None:
        found.append(_split(f"Recorded {looked.moved.at:%Y-%m-%d %H:%M} UTC", looked.moved.traffic_after, looked))
    elif not found:
        found.append(Split("Recorded", (), "No traffic was moved for it yet."))
    if endpoint is not None:
        found.append(_split("On the endpoint now", endpoint.split, looked, endpoint))
    else:
        found.append(Split("On the endpoint now", (), unseen[:1].upper() + unseen[1:] + "."))
    return found


def _split(title: str, split: Mapping[str, int], looked: Looked, endpoint: Endpoint | None = None) -> Split:
    names = dict(looked.names)
    for deployed in endpoint.deployed if endpoint else ():
        of_ours = deployed.model == looked.rollout.model
        names.setdefault(deployed.id, f"v{deployed.version}" if of_ours else f"{deployed.model} v{deployed.version}")
    arms: dict[str, str] = dict.fromkeys((arm.deployed_id for arm in looked.rollout.arms), "other")
    arms |= {looked.rollout.deployed_id: "candidate", looked.rollout.stable_id: "stable"}
    parts = [Part(names.get(id_, id_), share, arms.get(id_, "other")) for id_, share in split.items() if share]
    parts.sort(key=lambda p: ("stable", "other", "candidate").index(p.arm))
    return Split(title, parts, "No traffic." if not parts else format_split(split, names))


def _machines(looked: Looked, endpoint: Endpoint | None) -> list[str]:
    from shared.costs.prices import Hardware, shipped

    found = []
    for deployed in endpoint.deployed if endpoint else ():
        if deployed.id not in (looked.rollout.deployed_id, looked.rollout.stable_id):
            continue
        price = shipped().price(Hardware(looked.rollout.target.region, deployed.machine_type))
        cost = (
            f", ${price.usd_hour * deployed.present_replicas:.2f} an hour (accelerators not counted)"
            if price
            else ", no price"
        )
        name = looked.names.get(deployed.id, deployed.id)
        replicas = f"{deployed.present_replicas} x {deployed.machine_type} ({deployed.min_replicas} to {deployed.max_replicas})"
        found.append(f"{name}: {replicas}{cost}")
    return found


def links(rollout: Rollout) -> list[tuple[str, str]]:
    """Where else one would look."""
    t = rollout.target
    asked = quote(
        f'labels.rollout="{rollout.id}" OR jsonPayload.message:"{rollout.id}" OR textPayload:"{rollout.id}"', safe=""
    )
    return [
        (
            "Endpoint",
            f"{CONSOLE}/vertex-ai/online-prediction/locations/{t.region}/endpoints/{quote(t.endpoint)}?project={t.project}",
        ),
        ("Model version", version_address(t.project, t.region, rollout.model, rollout.version)),
        ("Logs", f"{CONSOLE}/logs/query;query={asked}?project={t.project}"),
    ]


def version_address(project: str, region: str, model: str, version: str) -> str:
    """The version in the console."""
    return f"{CONSOLE}/vertex-ai/models/locations/{region}/models/{quote(model)}/versions/{quote(version)}?project={project}"
