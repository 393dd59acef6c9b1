"""v1beta1 over gRPC: the same messages on the wire, and operations that name its types.

Its package is imported by the tests themselves: every process of tests reads this file, and one of them needs the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core.future import polling
from google.cloud import aiplatform_v1

from vertex_emulator import methods
from vertex_emulator.stack import LocalVertex

PARENT = "projects/local-project/locations/us-central1"
SOON = polling.DEFAULT_POLLING.with_delay(initial=0.02, maximum=0.1)


@pytest.fixture
def channel(local: LocalVertex) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(local.address) as opened:
        yield opened


def test_a_model_is_uploaded_deployed_and_explained_through_v1beta1(channel: grpc.Channel) -> None:
    from google.cloud import aiplatform_v1beta1
    from google.cloud.aiplatform_v1beta1.services import endpoint_service, model_service, prediction_service

    endpoints_over = endpoint_service.transports.EndpointServiceGrpcTransport(channel=channel)
    models_over = model_service.transports.ModelServiceGrpcTransport(channel=channel)
    predictions_over = prediction_service.transports.PredictionServiceGrpcTransport(channel=channel)
    models = aiplatform_v1beta1.ModelServiceClient(transport=models_over)
    endpoints = aiplatform_v1beta1.EndpointServiceClient(transport=endpoints_over)
    predictions = aiplatform_v1beta1.PredictionServiceClient(transport=predictions_over)
    started = models.upload_model(parent=PARENT, model={"display_name": "beta"})
    uploaded = started.result(polling=SOON, timeout=10)
    assert isinstance(uploaded, aiplatform_v1beta1.UploadModelResponse)
    endpoint = endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "beta"})
    name = endpoint.result(polling=SOON, timeout=10).name
    deployed_model = {
        "model": uploaded.model,
        "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1},
        "explanation_spec": {"parameters": {"sampled_shapley_attribution": {"path_count": 5}}},
    }
    endpoints.deploy_model(endpoint=name, deployed_model=deployed_model, traffic_split={"0": 100}).result(
        polling=SOON, timeout=10
    )
    explained = predictions.explain(endpoint=name, instances=[{"struct_value": {"fields": {"x": {"number_value": 1}}}}])
    assert len(explained.explanations) == 1


def test_both_versions_have_the_same_numbers_for_the_fields_that_they_share() -> None:
    """What v1's handlers read and write is right for v1beta1 as long as this holds."""
    from google.cloud import aiplatform_v1beta1

    differences: list[str] = []
    seen: set[str] = set()
    for names in methods.SERVICES.values():
        for method in names:
            for kind in (f"{method}Request", f"{method}Response"):
                if hasattr(aiplatform_v1.types, kind):
                    ours, beta = getattr(aiplatform_v1.types, kind), getattr(aiplatform_v1beta1.types, kind)
                    _compare(ours.pb().DESCRIPTOR, beta.pb().DESCRIPTOR, seen, differences)
    assert len(seen) > 100
    assert differences == []


def _compare(ours: Any, beta: Any, seen: set[str], differences: list[str]) -> None:
    if ours.full_name in seen or not ours.full_name.startswith(methods.PACKAGE):
        return
    seen.add(ours.full_name)
    for field in ours.fields:
        other = beta.fields_by_number.get(field.number)
        if other is None:
            continue
        if (other.name, other.type) != (field.name, field.type):
            differences.append(f"{ours.name}.{field.name} is {other.name} in v1beta1")
        elif field.message_type is not None:
            _compare(field.message_type, other.message_type, seen, differences)
