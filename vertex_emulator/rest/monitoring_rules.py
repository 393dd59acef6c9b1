"""The HTTP rules of Cloud Monitoring v3, for which the client library has no REST transport to read them from.

From the annotations in ``google/monitoring/v3/{metric,alert,notification}_service.proto``, projects only: (method, verb,
template, body).
"""

from __future__ import annotations

_METRICS = "google.monitoring.v3.MetricService"
_POLICIES = "google.monitoring.v3.AlertPolicyService"
_CHANNELS = "google.monitoring.v3.NotificationChannelService"
_A_METRIC = "/v3/{name=projects/*/metricDescriptors/**}"
_A_POLICY = "/v3/{name=projects/*/alertPolicies/*}"
_A_CHANNEL = "/v3/{name=projects/*/notificationChannels/*}"

MONITORING = (
    (f"{_METRICS}/ListMonitoredResourceDescriptors", "GET", "/v3/{name=projects/*}/monitoredResourceDescriptors", ""),
    (f"{_METRICS}/ListMetricDescriptors", "GET", "/v3/{name=projects/*}/metricDescriptors", ""),
    (f"{_METRICS}/GetMetricDescriptor", "GET", _A_METRIC, ""),
    (f"{_METRICS}/CreateMetricDescriptor", "POST", "/v3/{name=projects/*}/metricDescriptors", "metric_descriptor"),
    (f"{_METRICS}/DeleteMetricDescriptor", "DELETE", _A_METRIC, ""),
    (f"{_METRICS}/ListTimeSeries", "GET", "/v3/{name=projects/*}/timeSeries", ""),
    (f"{_METRICS}/CreateTimeSeries", "POST", "/v3/{name=projects/*}/timeSeries", "*"),
    (f"{_POLICIES}/ListAlertPolicies", "GET", "/v3/{name=projects/*}/alertPolicies", ""),
    (f"{_POLICIES}/GetAlertPolicy", "GET", _A_POLICY, ""),
    (f"{_POLICIES}/CreateAlertPolicy", "POST", "/v3/{name=projects/*}/alertPolicies", "alert_policy"),
    (f"{_POLICIES}/DeleteAlertPolicy", "DELETE", _A_POLICY, ""),
    (f"{_POLICIES}/UpdateAlertPolicy", "PATCH", _A_POLICY.replace("{name", "{alert_policy.name"), "alert_policy"),
    (
        f"{_CHANNELS}/ListNotificationChannelDescriptors",
        "GET",
        "/v3/{name=projects/*}/notificationChannelDescriptors",
        "",
    ),
    (
        f"{_CHANNELS}/GetNotificationChannelDescriptor",
        "GET",
        "/v3/{name=projects/*/notificationChannelDescriptors/*}",
        "",
    ),
    (f"{_CHANNELS}/ListNotificationChannels", "GET", "/v3/{name=projects/*}/notificationChannels", ""),
    (f"{_CHANNELS}/GetNotificationChannel", "GET", _A_CHANNEL, ""),
    (
        f"{_CHANNELS}/CreateNotificationChannel",
        "POST",
        "/v3/{name=projects/*}/notificationChannels",
        "notification_channel",
    ),
    (
        f"{_CHANNELS}/UpdateNotificationChannel",
        "PATCH",
        _A_CHANNEL.replace("{name", "{notification_channel.name"),
        "notification_channel",
    ),
    (f"{_CHANNELS}/DeleteNotificationChannel", "DELETE", _A_CHANNEL, ""),
    (f"{_CHANNELS}/SendNotificationChannelVerificationCode", "POST", f"{_A_CHANNEL}:sendVerificationCode", "*"),
    (f"{_CHANNELS}/GetNotificationChannelVerificationCode", "POST", f"{_A_CHANNEL}:getVerificationCode", "*"),
    (f"{_CHANNELS}/VerifyNotificationChannel", "POST", f"{_A_CHANNEL}:verify", "*"),
)
