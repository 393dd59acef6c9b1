"""Policy files for tests: a good one, and pieces that are put in its place."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from shared.policy.loading import load_policies
from shared.policy.problems import PolicyError

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "infra" / "policies"
HEAD = dedent(
    """\
    model: churn
    targets: [{region: us-central1, endpoint: churn-serving}]
    register: {from: {message: true}, container: {image: churn}}
    machine: {type: n1-standard-2}
    """
)
"""Four lines with all that is required; what a test adds begins in line 5."""


def problems_of(directory: Path, text: str) -> list[str]:
    """What is wrong with a file of this text, without the file's name: ``5: rollout.drift: ...``."""
    file = directory / "policy.yaml"
    file.write_text(dedent(text), encoding="utf-8")
    try:
        load_policies([file])
    except PolicyError as error:
        return [str(problem).removeprefix(f"{file}:").removeprefix(" ") for problem in error.problems]
    return []
