"""The same action with the high-level SDK, as its documentation teaches it.

It does less than ``roll_back``: no ledger, no labels, no message to people, no second try when another writer was first.
"""

import base64
import json
import os
from typing import Any

import functions_framework
from cloudevents.http import CloudEvent
from google.cloud import aiplatform


def connect(project: str, region: str) -> None:
    """Tell the SDK where to work; with the local Vertex AI where its address is set."""
    if address := os.environ.get("VERTEX_EMULATOR_HOST"):
        import grpc
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.aiplatform_v1.services.endpoint_service.transports import EndpointServiceGrpcTransport

        # The SDK has no setting for a server without TLS, so its transport is given a plain channel.
        EndpointServiceGrpcTransport.create_channel = lambda *_, **__: grpc.insecure_channel(address)
        aiplatform.init(project=project, location=region, api_endpoint=address, credentials=AnonymousCredentials())
        return
    aiplatform.init(project=project, location=region)


def split_without(split: dict[str, int], loser: str) -> dict[str, int]:
    """The loser's share goes to whoever has most of the traffic besides."""
    others = {deployed: share for deployed, share in split.items() if deployed != loser and share}
    heir = max(others, key=lambda deployed: others[deployed])
    return {**others, heir: others[heir] + split[loser]}


@functions_framework.cloud_event  # type: ignore[untyped-decorator]
def sdk_rollback(event: CloudEvent) -> None:
    """Take the traffic of the deployed model that the alert names."""
    alert: dict[str, Any] = json.loads(base64.b64decode(event.data["message"]["data"]))
    connect(alert["project"], alert["region"])
    endpoint = aiplatform.Endpoint(alert["endpoint"])
    split = dict(endpoint.traffic_split)
    if not split.get(alert["deployed_model"]):
        print(f"{alert['deployed_model']} has no traffic")
        return
    endpoint.update(traffic_split=split_without(split, alert["deployed_model"]))
    print(f"rolled back {alert['deployed_model']}: {alert['sentence']}")
