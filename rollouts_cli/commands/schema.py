"""``rollouts schema``: the JSON Schema of a policy."""

from __future__ import annotations

import sys

from shared.policy.jsonschema import policy_json_schema_text


def schema() -> None:
    """Print the JSON Schema of a policy, with the meaning of every key; editors complete and check with it."""
    sys.stdout.write(policy_json_schema_text())
