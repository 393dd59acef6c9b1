"""Traffic arithmetic: whole percents that sum to 100."""

from __future__ import annotations

from collections.abc import Mapping


def is_valid_split(split: Mapping[str, int]) -> bool:
    """Whether Vertex AI would take it: empty, or whole percents that sum to 100 (Endpoint.traffic_split)."""
    return not split or (sum(split.values()) == 100 and all(share >= 0 for share in split.values()))


def canary_split(stable: str, candidate: str, share: int) -> dict[str, int]:
    """``share`` percent to the candidate, the rest to the stable; nobody is listed with 0."""
    if not 0 <= share <= 100:
        raise ValueError(f"a share is 0 to 100 percent, not {share}")
    if not stable and share != 100:
        raise ValueError("without a stable the first model takes all the traffic")
    return {model: part for model, part in ((stable, 100 - share), (candidate, share)) if part}


def give_to(split: Mapping[str, int], loser: str, heir: str) -> dict[str, int]:
    """The split with all that ``loser`` had given to ``heir``; others keep theirs."""
    given = {model: share for model, share in split.items() if share and model != loser}
    if split.get(loser, 0):
        given[heir] = given.get(heir, 0) + split[loser]
    return given


def same_split(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Whether two splits send the same traffic; an entry of 0 is no entry."""
    return {k: v for k, v in one.items() if v} == {k: v for k, v in other.items() if v}


def format_split(split: Mapping[str, int], names: Mapping[str, str] | None = None) -> str:
    """``v3 90 %, v4 10 %``, largest first."""
    names = names or {}
    parts = sorted(((share, names.get(model, model)) for model, share in split.items() if share), reverse=True)
    return ", ".join(f"{name} {share} %" for share, name in parts) or "no traffic"
