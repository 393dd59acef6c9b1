"""The base of everything in a policy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Unknown keys are refused: a misspelt limit that is silently ignored is worse than none."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)
