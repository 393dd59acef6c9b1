"""The local Cloud Monitoring as one object: a sink, three gRPC services, the evaluator and the delivery of what it finds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any

import grpc

from vertex_emulator.calls import Answered, Callee, Served
from vertex_emulator.clock import Clock, running, wall_seconds
from vertex_emulator.monitoring.alerting import AlertPolicyService
from vertex_emulator.monitoring.channels import Delivery, Publish, Undelivered
from vertex_emulator.monitoring.descriptors import Descriptors
from vertex_emulator.monitoring.distribution import Buckets
from vertex_emulator.monitoring.evaluator import INTERVAL, Evaluator
from vertex_emulator.monitoring.incidents import Incident, Project, notification, verification, wants
from vertex_emulator.monitoring.injection import Injector
from vertex_emulator.monitoring.metric_service import MetricService
from vertex_emulator.monitoring.notification_channels import NotificationChannelService
from vertex_emulator.monitoring.protos import Message
from vertex_emulator.monitoring.rpc import CallLog, Method, generic_handler, not_found
from vertex_emulator.monitoring.series import RETENTION, SeriesStore, Visibility
from vertex_emulator.ports import fresh_port

logger = logging.getLogger(__name__)

MIN_WAIT = 0.01
"""Seconds of wall time between evaluations at least, however fast the clock runs."""


class Monitoring:
    """A Cloud Monitoring of one scoping project.

    ``delay`` is how long after the end of its minute a measurement becomes visible, ``delays`` has exceptions by metric type or
    prefix of one; both in seconds of the clock. ``webhook_backoff`` is the pause before a webhook is tried again.
    """

    def __init__(
        self,
        publish: Publish | None = None,
        delay: float = 60.0,
        delays: Mapping[str, float] | None = None,
        clock: Clock | None = None,
        buckets: Mapping[str, Buckets] | None = None,
        project_id: str = "local-project",
        project_number: int = 123456789012,
        retention: float = RETENTION,
        webhook_backoff: float = 10.0,
    ) -> None:
        clock = clock or running()
        self.calls = CallLog()
        self._project = Project(project_id, project_number)
        self._descriptors = Descriptors()
        visibility = Visibility(delay, by_metric=dict(delays or {}))
        self._store = SeriesStore(clock, visibility, buckets, self._descriptors.value_type, retention)
        self._injector = Injector(self._store, self._descriptors)
        self._metrics = MetricService(self._store, self._descriptors)
        self._policies = AlertPolicyService(
            self._store, self._descriptors, lambda name: self._channel(name) is not None
        )
        self._channels = NotificationChannelService(self._store, self._policies.uses_channel)
        self._delivery = Delivery(publish, webhook_backoff)
        self._evaluator = Evaluator(self._store, self._descriptors, self._policies, self._notify)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._workers: futures.ThreadPoolExecutor | None = None
        self._server: grpc.Server | None = None

    @property
    def sink(self) -> SeriesStore:
        """Where those who serve predictions report what they measured."""
        return self._store

    def inject(self, series: Sequence[Mapping[str, Any]]) -> int:
        """Put measurements into the store that nobody made, as ``monitoring/injection.py`` describes them."""
        return self._injector.inject(series)

    @property
    def undelivered(self) -> list[Undelivered]:
        """The notifications that were given up, with the reason."""
        return list(self._delivery.undelivered)

    def handlers(self) -> list[grpc.GenericRpcHandler[Message, Message]]:
        """The three services, to be mounted on any gRPC server."""
        return [
            generic_handler(service.name, service.methods(), self.calls)
            for service in (self._metrics, self._policies, self._channels)
        ]

    def methods(self) -> dict[str, Served]:
        """Return all methods by full name, for whoever serves them by another protocol than gRPC."""
        return {
            f"{service.name}/{name}": Served(method.request, self._callee(service.name, name, method))
            for service in (self._metrics, self._policies, self._channels)
            for name, method in service.methods().items()
        }

    def _callee(self, service: str, name: str, method: Method) -> Callee:
        def call(request: Message, _: str) -> Answered:
            answer = self.calls.carry_out(service, name, method, request)
            return Answered(method.response, [answer.SerializeToString()])

        return call

    def incidents(self) -> list[Incident]:
        """Every incident so far, each as it is now."""
        return self._evaluator.incidents()

    def evaluate(self) -> None:
        """Evaluate all policies once, at the clock's present; what ``start`` does every 30 seconds."""
        self._evaluator.evaluate()

    def send_test(self, channel: str) -> None:
        """Send a channel the notification of the console's "Send test notification"."""
        found = self._channel(channel)
        if found is None:
            raise not_found(f"Notification channel {channel} not found.")
        self._delivery.send(found, verification(self._project))

    def start(self) -> None:
        """Evaluate every 30 seconds of the clock, and deliver, in threads of their own."""
        if self._thread is None:
            self._stopping.clear()
            self._delivery.start()
            self._thread = threading.Thread(target=self._work, name="monitoring-evaluator", daemon=True)
            self._thread.start()

    def serve(self, port: int = 0) -> str:
        """Serve on 127.0.0.1, for those who do not mount the handlers elsewhere; returns ``host:port``."""
        self._workers = futures.ThreadPoolExecutor(max_workers=8, thread_name_prefix="monitoring-rpc")
        server = grpc.server(self._workers)
        server.add_generic_rpc_handlers(self.handlers())
        chosen = fresh_port(server.add_insecure_port, port=port)
        server.start()
        self._server = server
        return f"127.0.0.1:{chosen}"

    def stop(self) -> None:
        """End whatever ``start`` and ``serve`` began."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._delivery.stop()
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None
        if self._workers is not None:
            self._workers.shutdown()  # gRPC ends them too, and does not wait for them
            self._workers = None

    def _work(self) -> None:
        while not self._stopping.wait(max(MIN_WAIT, wall_seconds(INTERVAL))):
            try:
                self.evaluate()
            except Exception:
                logger.exception("an evaluation failed; the next one follows")

    def _channel(self, name: str) -> Message | None:
        """A channel by name, with its secrets."""
        return self._channels.find(name)

    def _notify(self, incident: Incident) -> None:
        if not wants(incident.policy, incident.state):
            return
        for name in incident.policy.notification_channels:
            channel = self._channel(name)
            if channel is not None and channel.enabled.value:
                self._delivery.send(channel, notification(incident, self._project, channel.type_))
