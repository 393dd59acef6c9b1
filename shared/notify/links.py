"""Where to look further: the status page, and Google's console for the endpoint, its logs and the version."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from shared.rollout.observed import TargetRef
from shared.rollout.record import LedgerEntry, Rollout

_CONSOLE = "https://console.cloud.google.com"


@dataclass(frozen=True)
class Link:
    label: str
    url: str


def links_of(entry: LedgerEntry, rollout: Rollout | None, page: str) -> tuple[Link, ...]:
    """Addresses are made of ids, each quoted: nothing in them can end the address or begin another."""
    found = []
    if page and entry.rollout:
        there = f"{page.rstrip('/')}/rollouts/{_quoted(entry.rollout)}"
        found.append(Link("Rollout", there))
        if entry.decision == "ask":
            # It opens a page that asks; only the form on it agrees.
            found.append(Link("Approve", f"{there}/approve"))
    ref = _target(entry, rollout)
    if ref is None:
        return tuple(found)
    project, region = _quoted(ref.project), _quoted(ref.region)
    found.append(
        Link(
            "Endpoint",
            f"{_CONSOLE}/vertex-ai/online-prediction/locations/{region}/endpoints/{_quoted(ref.endpoint)}?project={project}",
        )
    )
    if entry.model and entry.version:
        found.append(
            Link(
                "Version",
                f"{_CONSOLE}/vertex-ai/models/locations/{region}/models/{_quoted(entry.model)}"
                f"/versions/{_quoted(entry.version)}?project={project}",
            )
        )
    if entry.rollout:
        query = _quoted(f'jsonPayload.rollout="{entry.rollout}"')
        found.append(Link("Logs", f"{_CONSOLE}/logs/query;query={query}?project={project}"))
    return tuple(found)


def _target(entry: LedgerEntry, rollout: Rollout | None) -> TargetRef | None:
    if rollout is not None:
        return rollout.target
    parts = entry.target.split("/")
    return TargetRef(*parts) if len(parts) == 3 and all(parts) else None


def _quoted(text: str) -> str:
    return quote(text, safe="")
