"""What was billed, where somebody can say: the audit's figures are list prices, a bill is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

SERVICE = "C7E2-9256-1C43"
"""Vertex AI, in the catalog and in the billing export."""
PREDICTION = "Vertex AI: Online/Batch Prediction "
"""How the descriptions of its SKUs begin."""


@dataclass(frozen=True)
class Actual:
    """Actual spend on online prediction in one calendar month, credits included."""

    month: str
    """Such as 2026-11."""
    usd: Decimal
    billed_until: datetime
    """The newest usage that the export contains; what was used later is not in ``usd``."""
