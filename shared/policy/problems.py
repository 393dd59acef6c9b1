"""What is wrong with a policy file: where, what, and what is allowed there instead."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import PermanentError


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake."""

    file: str
    line: int
    """From 1; 0 where there is no line to point at (a file that is missing, a policy that came as JSON)."""
    key: str
    """As written in the file: ``rollout.checks[1].p95_at_most``; empty for the whole document."""
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return f"{where}:{key} {self.message}{allowed}"


class PolicyError(PermanentError):
    """A policy cannot be used; all that is wrong with it, in the order of the files."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
