"""A row of Vertex AI's request-response log (documentation: "Online inference logging"), as the prediction that it tells of.

The table's columns are ``endpoint``, ``deployed_model_id``, ``logging_time``, ``request_id`` (NUMERIC), ``request_payload`` and
``response_payload`` (STRING, REPEATED). What a raw prediction sent and got need not have instances; such a row is nobody's request here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.events.prediction import PredictionLogged

Row = Mapping[str, Any]


def prediction_of(row: Row, project: str, region: str, endpoint: str) -> PredictionLogged | None:
    """The prediction; None for a row that cannot be asked again."""
    asked, answered = _payload(row.get("request_payload")), _payload(row.get("response_payload"))
    instances, predictions = asked.get("instances"), answered.get("predictions")
    at = row.get("logging_time")
    if not isinstance(instances, list) or not isinstance(predictions, list) or not isinstance(at, datetime):
        return None
    if not instances or not predictions or not row.get("deployed_model_id"):
        return None
    return PredictionLogged(
        region=region,
        endpoint=endpoint,
        request_id=f"log-{row.get('request_id')}",
        at=at,
        deployed_model=str(row["deployed_model_id"]),
        instances=tuple(instances),
        predictions=tuple(predictions),
        parameters=asked.get("parameters"),
        project=project,
    )


def _payload(value: Any) -> dict[str, Any]:
    """The JSON object of a payload, which is repeated text; empty for anything else."""
    texts = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    try:
        found = json.loads("".join(str(text) for text in texts))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
