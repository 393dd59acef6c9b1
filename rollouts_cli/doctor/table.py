"""What is deployed, as the doctor needs it: the rows of infra/functions.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.errors import PermanentError

TABLE = Path(__file__).parent.parent.parent / "infra" / "functions.yaml"


@dataclass(frozen=True)
class Deployed:
    """One function in the cloud."""

    name: str
    wakes_on: str
    timeout: int
    """Seconds."""
    permissions: tuple[str, ...]

    @property
    def service(self) -> str:
        """Its Cloud Run service, and its subscription."""
        return self.name.replace("_", "-")

    @property
    def role(self) -> str:
        """The id of its custom role."""
        return "vertexRollouts" + "".join(part.title() for part in self.name.split("_"))

    @property
    def is_pushed(self) -> bool:
        """Whether a subscription wakes it."""
        return self.wakes_on != "https"


def deployed(path: Path = TABLE) -> list[Deployed]:
    """The rows, in order."""
    try:
        rows: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise PermanentError(f"{path} cannot be read; name the table of functions by --table") from exc
    return [
        Deployed(name, row["wakes_on"], int(row.get("timeout", 540)), tuple(row.get("permissions", ())))
        for name, row in rows.items()
    ]
