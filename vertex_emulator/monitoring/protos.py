"""The raw protobuf classes behind the proto-plus types of ``google-cloud-monitoring``.

Served as they are: wrapping each message in proto-plus would cost more than the work done for it. Field names are those of the
``.proto`` files, except where proto-plus had to avoid a Python word: ``NotificationChannel.type_``.
"""

from __future__ import annotations

from typing import Any

from google.api import distribution_pb2, label_pb2, metric_pb2, monitored_resource_pb2
from google.cloud.monitoring_v3 import types
from google.protobuf import empty_pb2

Message = Any
"""An instance of any raw protobuf class below; the installed classes carry no static types."""

TimeSeries = types.TimeSeries.pb()
Point = types.Point.pb()
TimeInterval = types.TimeInterval.pb()
TypedValue = types.TypedValue.pb()
Aggregation = types.Aggregation.pb()
AlertPolicy = types.AlertPolicy.pb()
Condition = AlertPolicy.Condition
NotificationChannel = types.NotificationChannel.pb()
NotificationChannelDescriptor = types.NotificationChannelDescriptor.pb()
Distribution = distribution_pb2.Distribution
BucketOptions = distribution_pb2.Distribution.BucketOptions
LabelDescriptor = label_pb2.LabelDescriptor
MetricDescriptor = metric_pb2.MetricDescriptor
Metric = metric_pb2.Metric
MonitoredResource = monitored_resource_pb2.MonitoredResource
Empty = empty_pb2.Empty

ListTimeSeriesRequest = types.ListTimeSeriesRequest.pb()
ListTimeSeriesResponse = types.ListTimeSeriesResponse.pb()
CreateTimeSeriesRequest = types.CreateTimeSeriesRequest.pb()
CreateMetricDescriptorRequest = types.CreateMetricDescriptorRequest.pb()
GetMetricDescriptorRequest = types.GetMetricDescriptorRequest.pb()
DeleteMetricDescriptorRequest = types.DeleteMetricDescriptorRequest.pb()
ListMetricDescriptorsRequest = types.ListMetricDescriptorsRequest.pb()
ListMetricDescriptorsResponse = types.ListMetricDescriptorsResponse.pb()

CreateAlertPolicyRequest = types.CreateAlertPolicyRequest.pb()
GetAlertPolicyRequest = types.GetAlertPolicyRequest.pb()
ListAlertPoliciesRequest = types.ListAlertPoliciesRequest.pb()
ListAlertPoliciesResponse = types.ListAlertPoliciesResponse.pb()
UpdateAlertPolicyRequest = types.UpdateAlertPolicyRequest.pb()
DeleteAlertPolicyRequest = types.DeleteAlertPolicyRequest.pb()

CreateNotificationChannelRequest = types.CreateNotificationChannelRequest.pb()
GetNotificationChannelRequest = types.GetNotificationChannelRequest.pb()
ListNotificationChannelsRequest = types.ListNotificationChannelsRequest.pb()
ListNotificationChannelsResponse = types.ListNotificationChannelsResponse.pb()
UpdateNotificationChannelRequest = types.UpdateNotificationChannelRequest.pb()
DeleteNotificationChannelRequest = types.DeleteNotificationChannelRequest.pb()
GetNotificationChannelDescriptorRequest = types.GetNotificationChannelDescriptorRequest.pb()
ListNotificationChannelDescriptorsRequest = types.ListNotificationChannelDescriptorsRequest.pb()
ListNotificationChannelDescriptorsResponse = types.ListNotificationChannelDescriptorsResponse.pb()
