"""A tick as others take it: for each rollout its endpoint, and one query for each metric and arm: ``python -m bench.scale.peers N NOW ARM...``.

That is how Argo Rollouts' and Flagger's metric templates ask (one query per metric and analysis run). Plain client calls, warm channel.
"""

from __future__ import annotations

import json
import os
import sys
import time

import grpc
from google.api_core.exceptions import ResourceExhausted
from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport
from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport

from bench.scale.prototype import NAME
from local.stepped import PARENT, PROJECT

_ONLINE = "aiplatform.googleapis.com/prediction/online/"
QUERIES = (
    f'metric.type = "{_ONLINE}response_count" AND resource.labels.endpoint_id = "{{endpoint}}"',
    f'metric.type = "{_ONLINE}prediction_latencies" AND resource.labels.endpoint_id = "{{endpoint}}"',
    'metric.type = "custom.googleapis.com/vertex_rollouts/tokens" AND metric.labels.endpoint_id = "{endpoint}"',
)


def main() -> None:
    """Ask for every rollout, and say how it went."""
    number, now, *arms = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    vertex = grpc.insecure_channel(os.environ["VERTEX_EMULATOR_HOST"])
    monitoring = grpc.insecure_channel(os.environ["MONITORING_EMULATOR_HOST"])
    endpoints = EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=vertex))
    metrics = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=monitoring))
    interval = {"start_time": {"seconds": now - 600}, "end_time": {"seconds": now}}
    calls = refused = 0
    began = time.perf_counter()
    for n in range(1, number + 1):
        name = f"{NAME.format(n)}-serving"
        calls += 1
        try:
            endpoints.get_endpoint(name=f"{PARENT}/endpoints/{name}", timeout=10)
        except ResourceExhausted:
            refused += 1
        for arm in arms:
            for query in QUERIES:
                wanted = f'{query.format(endpoint=name)} AND metric.labels.deployed_model_id = "{arm}"'
                calls += 1
                list(metrics.list_time_series({"name": f"projects/{PROJECT}", "filter": wanted, "interval": interval}))
    print(json.dumps({"calls": calls, "refused": refused, "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main()
