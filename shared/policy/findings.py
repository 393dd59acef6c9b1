"""What a rule that looks at several keys at once has to say, so that it can be shown at the right line.

pydantic knows the place of an error of one key; of a rule over a whole object it knows only the object. A rule therefore says
itself which key it points at and which keys it looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

KeyPath = tuple[str | int, ...]
"""``("rollout", "checks", 1, "p95_at_most")``, as written in the file."""
RULE = "policy_rule"
"""The type of the error that carries findings."""


@dataclass(frozen=True)
class Finding:
    """One rule that an object breaks; paths are relative to the object."""

    message: str
    key: KeyPath = ()
    """Where to point."""
    allowed: str = ""
    judged: tuple[KeyPath, ...] = ((),)
    """What the rule looked at, by default all of the object: if something there is already wrong, the rule is not heard."""


def refuse(findings: Iterable[Finding]) -> None:
    """Raise all findings, if there are any, as one error that pydantic collects with the others."""
    found = tuple(findings)
    if found:
        sentences = "; ".join(finding.message for finding in found)
        raise PydanticCustomError(RULE, "{sentences}", {"sentences": sentences, "findings": found})


def key_text(path: KeyPath) -> str:
    """``rollout.checks[1].p95_at_most``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
