"""The same action with the generated client, imported as its documentation shows it.

It does less than ``roll_back``: no ledger, no labels, no message to people, no second try when another writer was first.
"""

import base64
import functools
import json
import os
from typing import Any

import functions_framework
from cloudevents.http import CloudEvent
from google.cloud import aiplatform_v1
from google.protobuf import field_mask_pb2


@functools.cache
def connect(region: str) -> aiplatform_v1.EndpointServiceClient:
    """A client of one region, kept for the next event; of the local Vertex AI where its address is set."""
    if address := os.environ.get("VERTEX_EMULATOR_HOST"):
        import grpc
        from google.cloud.aiplatform_v1.services.endpoint_service.transports import EndpointServiceGrpcTransport

        transport = EndpointServiceGrpcTransport(channel=grpc.insecure_channel(address))
        return aiplatform_v1.EndpointServiceClient(transport=transport)
    return aiplatform_v1.EndpointServiceClient(client_options={"api_endpoint": f"{region}-aiplatform.googleapis.com"})


def split_without(split: dict[str, int], loser: str) -> dict[str, int]:
    """The loser's share goes to whoever has most of the traffic besides."""
    others = {deployed: share for deployed, share in split.items() if deployed != loser and share}
    heir = max(others, key=lambda deployed: others[deployed])
    return {**others, heir: others[heir] + split[loser]}


@functions_framework.cloud_event  # type: ignore[untyped-decorator]
def gapic_rollback(event: CloudEvent) -> None:
    """Take the traffic of the deployed model that the alert names."""
    alert: dict[str, Any] = json.loads(base64.b64decode(event.data["message"]["data"]))
    client = connect(alert["region"])
    name = client.endpoint_path(alert["project"], alert["region"], alert["endpoint"])
    endpoint = client.get_endpoint(name=name, timeout=20)
    split = dict(endpoint.traffic_split)
    if not split.get(alert["deployed_model"]):
        print(f"{alert['deployed_model']} has no traffic")
        return
    client.update_endpoint(
        endpoint=aiplatform_v1.Endpoint(
            name=name, etag=endpoint.etag, traffic_split=split_without(split, alert["deployed_model"])
        ),
        update_mask=field_mask_pb2.FieldMask(paths=["traffic_split"]),
        timeout=30,
    )
    print(f"rolled back {alert['deployed_model']}: {alert['sentence']}")
