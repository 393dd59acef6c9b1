"""A gRPC server with the two methods that the caller's app calls; what it answers is the test's choice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2

from shared.gapic import lean
from vertex_emulator.ports import fresh_port

lean.import_leanly(lean.VERTEX)
lean.import_leanly(lean.MONITORING)

from google.cloud.aiplatform_v1.types import prediction_service  # noqa: E402
from google.cloud.monitoring_v3.types import metric_service  # noqa: E402

Handler = Callable[[Any, grpc.ServicerContext], Any]
PredictRequest, PredictResponse = prediction_service.PredictRequest.pb(), prediction_service.PredictResponse.pb()
CreateTimeSeriesRequest = metric_service.CreateTimeSeriesRequest.pb()


@contextlib.contextmanager
def stub_vertex(predict: Handler | None = None, create_time_series: Handler | None = None) -> Iterator[str]:
    """The address of the running server."""
    services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {
        "google.cloud.aiplatform.v1.PredictionService": {"Predict": _method(predict, PredictRequest)},
        "google.monitoring.v3.MetricService": {
            "CreateTimeSeries": _method(create_time_series, CreateTimeSeriesRequest)
        },
    }
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        for name, methods in services.items():
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
        port = fresh_port(server.add_insecure_port)
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


def _method(handler: Handler | None, request: Any) -> grpc.RpcMethodHandler[Any, Any]:
    def answer(message: Any, context: grpc.ServicerContext) -> bytes:
        assert handler is not None, "the test did not expect this call"
        result = handler(message, context)
        return bytes((empty_pb2.Empty() if result is None else result).SerializeToString())

    return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=request.FromString)


def prediction(deployed_model_id: str, version: str, **values: object) -> Any:
    """A response with one prediction."""
    response = PredictResponse(
        deployed_model_id=deployed_model_id,
        model="projects/123/locations/us-central1/models/arr-coc",
        model_version_id=version,
    )
    response.predictions.add().struct_value.update(values)
    return response
