"""The candidate's answer beside the stable's: pure, on plain JSON values.

An answer is a list of predictions, one per instance. Each pair either agrees or it does not, in each way that the policy names; how much
disagreement is too much is judged over many (``agreement``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.policy.shadow import SAME_SCHEMA, Comparison

_PARTS = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\['([^']+)'\]|\[([0-9]+)\]|(\[\*\])")
_NOTHING = object()

Counts = dict[str, tuple[int, int]]
"""By comparison: how many predictions were compared, and how many of them disagree."""


def compare_answers(comparisons: Sequence[Comparison], stable: Sequence[Any], candidate: Sequence[Any]) -> Counts:
    """Every comparison of one request; answers of different lengths, and predictions of another schema, agree in nothing."""
    if len(stable) != len(candidate):
        return disagree_in_all(comparisons, max(len(stable), 1))
    same = [have_same_schema(one, other) for one, other in zip(stable, candidate, strict=True)]
    counts = {SAME_SCHEMA: (len(same), same.count(False))}
    for comparison in comparisons:
        agreeing = sum(
            is_same and does_agree(comparison, one, other)
            for is_same, one, other in zip(same, stable, candidate, strict=True)
        )
        counts[comparison.name] = (len(same), len(same) - agreeing)
    return counts


def disagree_in_all(comparisons: Sequence[Comparison], predictions: int) -> Counts:
    """What a request counts as that the candidate refused to answer."""
    return {name: (predictions, predictions) for name in (SAME_SCHEMA, *(c.name for c in comparisons))}


def have_same_schema(one: Any, other: Any) -> bool:
    """Whether both have the same keys and types. Null may stand for anything, and lists may be longer or shorter."""
    if one is None or other is None:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(have_same_schema(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return not one or not other or all(have_same_schema(one[0], item) for item in (*one, *other))
    return _kind(one) == _kind(other)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def does_agree(comparison: Comparison, stable: Any, candidate: Any) -> bool:
    """Whether the parts that the comparison looks at agree; a part that only one of the two has does not."""
    one, other = select(comparison.path, stable), select(comparison.path, candidate)
    if len(one) != len(other):
        return False
    pairs = list(zip(one, other, strict=True))
    match comparison.kind:
        case "exact":
            return all(_is_close(a, b, 0.0, 0.0) for a, b in pairs)
        case "numeric":
            return all(_is_close(a, b, comparison.tolerance, comparison.relative) for a, b in pairs)
        case "label":
            return all(_label(a) == _label(b) for a, b in pairs)
        case "ranking":
            # $.items[*].id selects the ranked items themselves, $.items or $.scores one value that holds them.
            a, b = (_ranked(found[0]) if len(found) == 1 else [_key(item) for item in found] for found in (one, other))
            return _is_ranked_alike(a[: comparison.top], b[: comparison.top], comparison.overlap)


def select(path: str, value: Any) -> list[Any]:
    """What a path selects, in order; what is not there is left out."""
    found = [value]
    for name, quoted, index, every in _PARTS.findall(path):
        found = list(_step(found, name or quoted, index, bool(every)))
    return found


def _step(values: list[Any], name: str, index: str, every: bool) -> Iterator[Any]:
    for value in values:
        if every and isinstance(value, list):
            yield from value
        elif every and isinstance(value, Mapping):
            yield from value.values()
        elif index and isinstance(value, list) and int(index) < len(value):
            yield value[int(index)]
        elif name and isinstance(value, Mapping) and name in value:
            yield value[name]


def _is_close(one: Any, other: Any, tolerance: float, relative: float) -> bool:
    """Numbers within the tolerance, everything else equal, at every depth."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_close(one[k], other[k], tolerance, relative) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            _is_close(a, b, tolerance, relative) for a, b in zip(one, other, strict=True)
        )
    if _kind(one) == _kind(other) == "number":
        if math.isinf(one) or math.isinf(other):
            return bool(one == other)
        # Six digits are what a number keeps on its way through JSON and single precision; less is no difference.
        return abs(one - other) <= max(tolerance, relative * abs(one), 1e-6 * abs(one)) or _are_both_nan(one, other)
    return _kind(one) == _kind(other) and bool(one == other)


def _are_both_nan(one: float, other: float) -> bool:
    return math.isnan(one) and math.isnan(other)


def _label(value: Any) -> str:
    """The label itself, or the one with the highest score."""
    ranked = _ranked(value)
    return ranked[0] if ranked else ""


def _ranked(value: Any) -> list[str]:
    """Items in order: of a mapping by score, of a list of numbers by score, of any other list as it stands."""
    if isinstance(value, Mapping):
        return sorted(map(str, value), key=lambda key: (-_score(value[key]), key))
    if isinstance(value, list):
        if value and all(_kind(item) == "number" for item in value):
            return [str(i) for i in sorted(range(len(value)), key=lambda i: (-value[i], i))]
        return [_key(item) for item in value]
    return [_key(value)]


def _score(value: Any) -> float:
    return float(value) if _kind(value) == "number" else -math.inf


def _key(item: Any) -> str:
    """A name to compare by. A whole number is an id and counts in full: through protobuf it comes back as a float."""
    if _kind(item) != "number":
        return str(item)
    return str(int(item)) if float(item).is_integer() else f"{float(item):g}"


def _is_ranked_alike(one: list[str], other: list[str], overlap: float) -> bool:
    if not one or not other:
        return one == other
    shared = len(set(one) & set(other)) / len(set(one))
    return one[0] == other[0] and shared >= overlap
