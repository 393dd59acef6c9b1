"""What nobody owns: endpoints without an owner, endpoints without a model, versions that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from shared.costs.findings.finding import Finding
from shared.costs.fleet import OWNER_LABELS, Endpoint, Fleet, Version
from shared.costs.holdings import Holding
from shared.costs.money import total, usd

ENDPOINT = "endpoint_without_owner"
EMPTY = "endpoint_without_model"
VERSION = "version_without_owner"
EMPTY_FOR = timedelta(days=7)
"""An endpoint is made before its model is deployed."""
OLD = timedelta(days=90)
"""A version that nobody has used for so long is not waiting for its rollout."""


def find_all(fleet: Fleet, held: list[Holding]) -> Iterator[Finding]:
    """None of these has a saving that could be counted: an owner is looked for, and storage has no price here."""
    costs: dict[str, list[Holding]] = {}
    for holding in held:
        costs.setdefault(str(holding.endpoint), []).append(holding)
    for endpoint in fleet.endpoints:
        present = [one for one in endpoint.deployed if one.until is None]
        if not present and not endpoint.policy and fleet.at - endpoint.created >= EMPTY_FOR:
            yield _empty(fleet, endpoint)
        elif present and not endpoint.owner:
            yield _unowned(endpoint, costs.get(str(endpoint), []))
    yield from _versions(fleet)


def _unowned(endpoint: Endpoint, held: list[Holding]) -> Finding:
    months = [holding.usd_month for holding in held]
    known = usd(total(months)) + (" and what has no price" if None in months else "")
    e = endpoint
    return Finding(
        ENDPOINT,
        str(e),
        e.title,
        f"nobody is named who owns it; it costs {known} a month",
        Decimal("0.00"),
        "high",
        (f"none of the labels {', '.join(OWNER_LABELS[:-1])}", "no policy has it as a target"),
        "an owner saves nothing; a forgotten endpoint does",
        f"gcloud ai endpoints update {e.id} --project={e.project} --region={e.region} --update-labels=owner=TEAM",
    )


def _empty(fleet: Fleet, endpoint: Endpoint) -> Finding:
    e = endpoint
    return Finding(
        EMPTY,
        str(e),
        e.title,
        "nothing is deployed on it",
        Decimal("0.00"),
        "high",
        (f"made {(fleet.at - e.created) / timedelta(days=1):.0f} days ago", "no policy has it as a target"),
        "an endpoint without a model costs nothing, and hides those that do",
        f"gcloud ai endpoints delete {e.id} --project={e.project} --region={e.region}",
        owner=e.owner,
    )


def _versions(fleet: Fleet) -> Iterator[Finding]:
    used = {(e.project, one.model, one.version) for e in fleet.endpoints for one in e.deployed}
    newest: dict[tuple[str, str, str], int] = {}
    for version in fleet.versions:
        model = (version.project, version.region, version.model)
        newest[model] = max(newest.get(model, 0), _number(version.version))
    unused: dict[tuple[str, str, str], list[Version]] = {}
    for version in fleet.versions:
        model = (version.project, version.region, version.model)
        if (version.project, version.model, version.version) in used or version.aliases or version.owner:
            continue
        if fleet.at - version.created >= OLD and _number(version.version) != newest[model]:
            unused.setdefault(model, []).append(version)
    for model, versions in sorted(unused.items()):
        yield _unused(fleet, model, sorted(versions, key=lambda version: (_number(version.version), version.version)))


def _unused(fleet: Fleet, model: tuple[str, str, str], versions: list[Version]) -> Finding:
    project, region, name = model
    numbers = ", ".join(version.version for version in versions)
    oldest = max((fleet.at - version.created) / timedelta(days=1) for version in versions)
    return Finding(
        VERSION,
        "/".join(model),
        f"{name}@{numbers}",
        f"{len(versions)} version{'s' * (len(versions) != 1)} without an owner that nothing uses",
        None,
        "medium",
        (
            f"up to {oldest:.0f} days old, deployed nowhere, no alias",
            f"none of the labels {', '.join(OWNER_LABELS[:-1])}, and not the model's newest",
        ),
        "storage is paid for by the size of the files, which is not known here",
        f"gcloud ai models delete-version {name}@{versions[0].version} --project={project} --region={region}"
        + (", and so for each; or retention in a policy" if len(versions) > 1 else ""),
    )


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0
