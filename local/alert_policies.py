"""The alert policies that Terraform makes in the cloud, made through the same API here: error ratio and latency per deployed model."""

from __future__ import annotations

from typing import Any

import grpc
from google.cloud.monitoring_v3.services.alert_policy_service.client import AlertPolicyServiceClient
from google.cloud.monitoring_v3.services.alert_policy_service.transports.grpc import AlertPolicyServiceGrpcTransport
from google.cloud.monitoring_v3.services.notification_channel_service.client import NotificationChannelServiceClient
from google.cloud.monitoring_v3.services.notification_channel_service.transports.grpc import (
    NotificationChannelServiceGrpcTransport,
)
from google.cloud.monitoring_v3.types import AlertPolicy, NotificationChannel

SERVED = "aiplatform.googleapis.com/prediction/online"


def make_webhook(address: str, project: str, url: str) -> str:
    """A ``webhook_tokenauth`` channel; the token stands in the URL. Its name."""
    channel = NotificationChannel(type_="webhook_tokenauth", display_name="receive_alert", labels={"url": url})
    client = NotificationChannelServiceClient(
        transport=NotificationChannelServiceGrpcTransport(channel=grpc.insecure_channel(address))
    )
    return str(client.create_notification_channel(name=f"projects/{project}", notification_channel=channel).name)


def make_error_alert(address: str, project: str, endpoint: str, region: str, channel: str, share: float) -> str:
    """More than ``share`` of the requests of one deployed model answered with 5xx, in one minute. The policy's name."""
    of_endpoint = f'resource.type = "aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id = "{endpoint}"'
    counted = f'metric.type = "{SERVED}/response_count" AND {of_endpoint}'
    by_model = {
        "alignment_period": {"seconds": 60},
        "per_series_aligner": "ALIGN_DELTA",
        "cross_series_reducer": "REDUCE_SUM",
        "group_by_fields": [
            "resource.labels.endpoint_id",
            "resource.labels.location",
            "metric.labels.deployed_model_id",
        ],
    }
    condition: dict[str, Any] = {
        "display_name": f"more than {share:.0%} of the answers of a deployed model are 5xx",
        "condition_threshold": {
            "filter": f'{counted} AND metric.labels.response_code = "5xx"',
            "aggregations": [by_model],
            "denominator_filter": counted,
            "denominator_aggregations": [by_model],
            "comparison": "COMPARISON_GT",
            "threshold_value": share,
            "duration": {"seconds": 60},
            "trigger": {"count": 1},
            "evaluation_missing_data": "EVALUATION_MISSING_DATA_INACTIVE",
        },
    }
    policy = AlertPolicy(
        display_name=f"{endpoint}: errors",
        combiner="OR",
        conditions=[condition],
        notification_channels=[channel],
        user_labels={"vr_project": project, "vr_region": region, "vr_endpoint": endpoint},
        severity="ERROR",
    )
    client = AlertPolicyServiceClient(transport=AlertPolicyServiceGrpcTransport(channel=grpc.insecure_channel(address)))
    return str(client.create_alert_policy(name=f"projects/{project}", alert_policy=policy).name)
