"""Asking an endpoint, as a caller does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.cloud.aiplatform_v1.services.prediction_service.client import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport
from google.cloud.aiplatform_v1.types import prediction_service
from google.protobuf import struct_pb2
from google.protobuf.json_format import ParseDict

from shared.channels import vertex_clients
from shared.gapic.errors import translated
from shared.gapic.values import plain, raw
from shared.rollout.observed import TargetRef
from shared.vertex import full_names

SECONDS = 30.0
"""For one answer; a model that takes longer is slower than any that users wait for."""


class Predictions:
    """Vertex AI's PredictionService at the shared address of a region."""

    def __init__(self) -> None:
        self._client = vertex_clients(PredictionServiceClient, PredictionServiceGrpcTransport)

    def predict(self, ref: TargetRef, instances: Sequence[Any], parameters: Any = None) -> list[Any]:
        """The predictions, as JSON values; asked once, since a failure is an answer too."""
        request = prediction_service.PredictRequest(endpoint=full_names.endpoint(ref))
        message = raw(request)
        for instance in instances:
            ParseDict(instance, message.instances.add())
        if parameters is not None:
            message.parameters.CopyFrom(ParseDict(parameters, struct_pb2.Value()))
        with translated(f"asking endpoint {ref}"):
            reply = self._client(ref.region).predict(request, timeout=SECONDS, retry=None)
        return [plain(prediction) for prediction in raw(reply).predictions]
