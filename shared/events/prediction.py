"""A prediction that a user was given: what was asked, what was answered, by whom.

Published by the caller for a sample of its requests, or by ``replay_requests`` from the request-response log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from shared.events.message import Message
from shared.events.wire import Moment, Ours, Text, decode_object, encode, read_ours, write_moment

SCHEMA = "prediction-logged/v1"


@dataclass(frozen=True)
class PredictionLogged:
    """One Predict call and its answer."""

    region: str
    endpoint: str
    request_id: str
    """The same in every delivery of it: by it the sample is drawn, and nothing is sent again twice."""
    at: datetime
    deployed_model: str
    """Who answered (PredictResponse.deployed_model_id)."""
    instances: tuple[Any, ...]
    predictions: tuple[Any, ...]
    parameters: Any = None
    project: str = ""
    """Empty: the one that the functions run in."""


class _Wire(Ours):
    project: Text | None = None
    region: Text
    endpoint: Text
    request_id: Text
    at: Moment
    deployed_model: Text
    instances: list[Any] = Field(min_length=1)
    parameters: Any = None
    predictions: list[Any] = Field(min_length=1)


def parse_prediction_logged(message: Message) -> PredictionLogged:
    """``{"schema": "prediction-logged/v1", "region": ..., "endpoint": ..., "request_id": ..., ...}``."""
    wire = read_ours(_Wire, decode_object(message.data, SCHEMA), SCHEMA)
    return PredictionLogged(
        wire.region,
        wire.endpoint,
        wire.request_id,
        wire.at,
        wire.deployed_model,
        tuple(wire.instances),
        tuple(wire.predictions),
        wire.parameters,
        wire.project or "",
    )


def prediction_logged_message(event: PredictionLogged) -> bytes:
    """What the caller publishes."""
    return encode(
        SCHEMA,
        {
            "project": event.project or None,
            "region": event.region,
            "endpoint": event.endpoint,
            "request_id": event.request_id,
            "at": write_moment(event.at),
            "deployed_model": event.deployed_model,
            "instances": list(event.instances),
            "parameters": event.parameters,
            "predictions": list(event.predictions),
        },
    )
