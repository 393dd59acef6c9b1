"""A local Cloud Monitoring: time series, alert policies, and the incidents that come of them.

The real ``google-cloud-monitoring`` clients talk to it over a plaintext gRPC channel. What was measured arrives through a
``MetricSink`` or through ``CreateTimeSeries``; what a policy finds wrong is delivered to Pub/Sub topics and webhooks in the
shape that Google sends.
"""
