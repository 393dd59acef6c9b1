"""The files of a report, by name."""

from __future__ import annotations

import json

from shared.costs.actual import Actual
from shared.costs.audit import Audit
from shared.costs.report.page import page
from shared.costs.report.snapshot import Change
from shared.costs.report.twin import as_json, costs_csv, findings_csv


def files_of(audit: Audit, change: Change | None = None, actual: Actual | None = None) -> dict[str, str]:
    """The page and its twins."""
    return {
        "report.html": page(audit, change, actual),
        "report.json": json.dumps(as_json(audit, change, actual), indent=1, ensure_ascii=False) + "\n",
        "costs.csv": costs_csv(audit),
        "findings.csv": findings_csv(audit),
    }
