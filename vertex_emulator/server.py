"""The emulator: all services on one gRPC server, plain and, where asked for, with TLS on a port of its own.

Real clients need nothing but its address::

    emulator = Emulator()
    emulator.start()
    channel = grpc.insecure_channel(emulator.address)
    client = EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel))
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import grpc

from vertex_emulator import clock as clocks
from vertex_emulator import methods
from vertex_emulator.administration import LARGEST_MESSAGE, Administration
from vertex_emulator.batch import BatchPredictions
from vertex_emulator.beta import BETA, V1, BetaOperations
from vertex_emulator.calls import Answered, Calls, Handler, Served
from vertex_emulator.config import Config
from vertex_emulator.deployments import Deployments
from vertex_emulator.endpoints import Endpoints
from vertex_emulator.errors import DEPLOYED_MODEL_HEADER, ApiError
from vertex_emulator.evaluations import Evaluations
from vertex_emulator.exports import Exports
from vertex_emulator.faults import Faults
from vertex_emulator.fleet import Fleet
from vertex_emulator.history import EndpointSnapshot, History
from vertex_emulator.jobs import BATCH_PREDICTION_JOB, CUSTOM_JOB, PIPELINE_JOB, TRAINING_PIPELINE, Jobs, pipeline_name
from vertex_emulator.locations import Locations
from vertex_emulator.logs import Logs, LogSink
from vertex_emulator.messages import Document, Message, raw
from vertex_emulator.metrics import MetricSink, NullSink
from vertex_emulator.operations import Operations
from vertex_emulator.permissions import PermissionLog, Used, called_by, caller_of
from vertex_emulator.pools import Pools
from vertex_emulator.ports import fresh_port
from vertex_emulator.prediction import Prediction
from vertex_emulator.quotas import QuotaMeter
from vertex_emulator.registry import Registry
from vertex_emulator.request_log import RequestLog, RequestSink
from vertex_emulator.serving.launcher import Launcher
from vertex_emulator.serving.profile import ProfileBook
from vertex_emulator.snapshots import Snapshots, check_format
from vertex_emulator.state import State
from vertex_emulator.tls import Certificate

if TYPE_CHECKING:
    from vertex_emulator.monitoring.server import Monitoring

logger = logging.getLogger(__name__)
_TICK = 5.0
"""Compressed seconds between ticks, as long as that is between 20 ms and 1 s on the wall."""
_OPERATIONS = "google.longrunning.Operations"
_ROUTING_HEADER = "x-goog-request-params"


class Emulator:
    """A local Vertex AI."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: clocks.Clock | None = None,
        sink: MetricSink | None = None,
        log_sink: LogSink | None = None,
        request_sink: RequestSink | None = None,
        on_change: Callable[[EndpointSnapshot], None] | None = None,
        seed: int = 1,
        extra_handlers: Sequence[grpc.GenericRpcHandler[Any, Any]] = (),
        monitoring: Monitoring | None = None,
    ) -> None:
        """``sink`` takes what was served as metrics, ``log_sink`` the log entries, ``request_sink`` the logged requests.

        ``on_change`` hears of every new split or set of models; ``extra_handlers`` are served on the same port. A
        ``monitoring`` is served there too, shares the planned faults, and takes what was served unless a ``sink`` does.
        """
        self.config = config or Config()
        clock = clock or clocks.running()
        self.faults = Faults()
        self.permissions = PermissionLog()
        self.profiles = ProfileBook()
        self.history = History(on_change)
        self.address = ""
        self.tls_address = ""
        """``localhost:PORT`` where TLS is served; the certificate is for that name."""
        self._clock = clock
        self._extra = list(extra_handlers)
        if monitoring is not None:
            monitoring.calls.faults, monitoring.calls.permissions = self.faults, self.permissions
            self._extra += monitoring.handlers()
            sink = sink or monitoring.sink
        self.administration = Administration(self, monitoring)
        self._state = State(self.config, clock, self.faults, seed)
        self.logs = Logs(log_sink, self._state.projects, self.config.principal, clock)
        self._launcher = Launcher(self.config, self.profiles, seed)
        sink = sink or NullSink()
        self._fleet = Fleet(sink, seed, clock())
        self._operations = Operations(self._state, self.logs)
        self._registry = Registry(self._state, self._operations)
        self._request_log = RequestLog(request_sink, clock, seed)
        self._prediction = Prediction(self._state, self._fleet, sink, self._request_log)
        self._batch = BatchPredictions(self.config, self._registry, self._launcher)
        self._beta = BetaOperations()
        quotas = QuotaMeter(self.config.quotas, clock)
        self._calls = Calls(self._collect(), self._state, quotas, self.faults, self.logs, self.permissions)
        self.calls = self._calls.log
        """(method, routing header) of every call but predictions, oldest first."""
        self.counts = self._calls.counts
        """Calls per method, predictions included."""
        self._server: grpc.Server | None = None
        self._workers: ThreadPoolExecutor | None = None
        self._ticker: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(
        self, port: int = 0, *, tick: bool = True, certificate: Certificate | None = None, tls_port: int = 0
    ) -> str:
        """Begin to serve, and return the address; without ``tick`` time moves only with calls and ``tick()``.

        With a certificate the same is served with TLS at ``tls_address``.
        """
        self._workers = ThreadPoolExecutor(self.config.workers, thread_name_prefix="vertex")
        server = grpc.server(
            self._workers,
            handlers=[self.administration.handler(), *self._extra],
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", LARGEST_MESSAGE)],
        )
        for service, table in self._tables().items():
            # gRPC finds a registered method by itself; through generic handlers it would ask one after the other.
            server.add_registered_method_handlers(service, table)  # type: ignore[attr-defined]  # its stubs are older
        bound = fresh_port(server.add_insecure_port, port=port)
        self.address = self._state.address = f"127.0.0.1:{bound}"
        if certificate is not None:
            credentials = certificate.grpc_credentials()
            secure = fresh_port(lambda address: server.add_secure_port(address, credentials), port=tls_port)
            self.tls_address = f"localhost:{secure}"
        self.logs.start()
        server.start()
        self._server = server
        if tick:
            self._ticker = threading.Thread(target=self._tick_on, name="vertex-tick", daemon=True)
            self._ticker.start()
        return self.address

    def stop(self) -> None:
        """Stop serving, and everything that was started."""
        self._stopping.set()
        if self._ticker is not None:
            self._ticker.join()
        if self._server is not None:
            self._server.stop(grace=0.2).wait()
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)
        self._batch.stop()
        self._launcher.stop()
        self.logs.stop()

    def __enter__(self) -> Emulator:
        """Start on a free port."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def served_over_rest_at(self, address: str) -> None:
        """Hear where the REST front end is: what ``{rest}`` in ``Config.dedicated_dns`` stands for from now on."""
        self._state.rest_address = address

    def tick(self) -> None:
        """Let everything happen that is due: operations, jobs, the autoscaler, gauges."""
        with self._state.lock:
            self._state.settle()
            self._fleet.tick(self._clock())

    @property
    def permissions_used(self) -> list[Used]:
        """The IAM permissions that the calls so far needed, by caller."""
        return self.permissions.used()

    def logged_requests(self) -> list[Document]:
        """Return the rows of request-response logging, oldest first; the newest thousands are kept."""
        return self._request_log.kept()

    def save(self) -> Document:
        """Return everything that Vertex AI would remember, as JSON has it; metrics, logs and planned faults are not part of it."""
        with self._state.lock:
            self._state.settle()
            return self._snapshots.save()

    def load(self, document: Document) -> None:
        """Put a state that was saved in the place of the present one; returns once its model servers are ready."""
        check_format(document)
        with self._state.lock:
            self._clear()
            started = self._snapshots.load(document)
        self._snapshots.wait_for(started)

    def look_at_etags(self, code: grpc.StatusCode | None) -> None:
        """Switch, while it runs, what a stale etag is answered with; with ``None`` it is ignored (``Config.etag_mismatch``)."""
        with self._state.lock:
            self._state.config = replace(self._state.config, etag_mismatch=code)

    def reset(self) -> None:
        """Forget everything: models, endpoints, jobs, operations; ids begin anew."""
        with self._state.lock:
            self._clear()

    def _clear(self) -> None:
        self._batch.clear()
        self._snapshots.clear()

    def methods(self) -> dict[str, Served]:
        """Return all methods by full name, e.g. ``google.cloud.aiplatform.v1.ModelService/GetModel``."""
        return {
            f"{service}/{name}": Served(methods.request_type(name), self._calls.method(name), name in methods.STREAMING)
            for service, names in methods.all_services().items()
            for name in names
        }

    def handlers(self) -> list[grpc.GenericRpcHandler[Any, Any]]:
        """Return the services' handlers, to be mounted on a server of someone else."""
        return [grpc.method_handlers_generic_handler(service, table) for service, table in self._tables().items()]

    def _tables(self) -> dict[str, dict[str, Any]]:
        """Return gRPC's handler of every method, by service."""
        served, beta = self.methods(), self._beta
        services = methods.all_services()
        tables: dict[str, dict[str, Any]] = {
            service: {name: _rpc_handler(served[f"{service}/{name}"]) for name in names}
            for service, names in services.items()
        }
        for name in methods.OPERATIONS:
            polled = functools.partial(beta.polled, name)
            tables[_OPERATIONS][name] = _rpc_handler(served[f"{_OPERATIONS}/{name}"], polled)
        for service in methods.SERVICES:
            full = f"{methods.PACKAGE}.{service}"
            tables[full.replace(V1, BETA)] = {
                name: _rpc_handler(served[f"{full}/{name}"], beta.started) for name in services[full]
            }
        return tables

    def _collect(self) -> dict[str, Handler]:
        endpoints = Endpoints(self._state, self._operations, self._fleet, self.history, self._request_log)
        pools = Pools(self._state, self._operations)
        deployments = Deployments(
            self._state, self._operations, self._registry, endpoints, self._fleet, self._launcher, pools
        )
        evaluations = Evaluations(self._state, self._registry)
        exports = Exports(self._state, self._operations, self._registry)
        locations = Locations(self._state)
        services = (self._registry, exports, evaluations, endpoints, deployments, pools, self._prediction)
        parts = (*services, self._operations, locations)
        handlers = {
            name: getattr(part, name)
            for part in parts
            for names in methods.all_services().values()
            for name in names
            if hasattr(part, name)
        }
        kinds = self._job_kinds()
        for jobs in kinds.values():
            handlers |= jobs.methods()
        self._registry.trained = functools.partial(_name_trained, kinds["TrainingPipeline"])
        self._snapshots = Snapshots(
            self._state, self._operations, pools, kinds, endpoints, deployments, self._fleet, self._launcher, self._beta
        )
        return handlers

    def _job_kinds(self) -> dict[str, Jobs]:
        batch = self._batch
        return {
            "CustomJob": Jobs(CUSTOM_JOB, self._state, self._operations),
            "BatchPredictionJob": Jobs(
                BATCH_PREDICTION_JOB,
                self._state,
                self._operations,
                on_success=batch.complete,
                on_state=batch.follow,
                check=batch.check,
                is_ready=batch.is_ready,
                on_load=batch.follow,
            ),
            "TrainingPipeline": Jobs(TRAINING_PIPELINE, self._state, self._operations, on_success=self._upload_trained),
            "PipelineJob": Jobs(PIPELINE_JOB, self._state, self._operations, on_state=self._log_pipeline),
        }

    def _upload_trained(self, job: Message, now: datetime) -> None:
        """Upload what a training pipeline made, as the service does when it succeeds."""
        if not job.HasField("model_to_upload"):
            return
        location = job.name.partition("/trainingPipelines/")[0]
        request = raw("UploadModelRequest")(
            parent=location, model=job.model_to_upload, parent_model=job.parent_model, model_id=job.model_id
        )
        self._registry.begin_upload(request, 0, training_pipeline=job.name, at=now)

    def _log_pipeline(self, job: Message) -> None:
        state = PIPELINE_JOB.states(job.state).name
        self.logs.pipeline_job_state(job.name, pipeline_name(job), state, dict(job.labels))

    def _tick_on(self) -> None:
        while not self._stopping.wait(min(max(clocks.wall_seconds(_TICK), 0.02), 1.0)):
            try:
                self.tick()
            except Exception:
                logger.exception("A tick failed; the next one follows")


def _name_trained(pipelines: Jobs, name: str, version: Message) -> None:
    """Let a training pipeline and the version that it made name each other."""
    version.training_pipeline = name
    job = pipelines.find(name)
    if job is not None:
        job.model_to_upload.name = version.name
        job.model_to_upload.version_id = version.version_id


def _rpc_handler(served: Served, translate: Callable[[Answered], Sequence[bytes]] | None = None) -> Any:
    """Serve one method over gRPC; ``translate`` makes another version's bytes of an answer."""

    def behave(request: Any, context: grpc.ServicerContext) -> bytes:
        answered = _carry_out(served, request, context)
        return (translate(answered) if translate else answered.parts)[0]

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from _carry_out(served, request, context).parts

    read = served.request.FromString
    if served.is_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, request_deserializer=read)
    return grpc.unary_unary_rpc_method_handler(behave, request_deserializer=read)


def _carry_out(served: Served, request: Any, context: grpc.ServicerContext) -> Answered:
    try:
        metadata = context.invocation_metadata()
        with called_by(*caller_of(metadata)):
            answered = served.call(request, _routing(metadata))
    except ApiError as error:
        if error.deployed_model:
            context.set_trailing_metadata(((DEPLOYED_MODEL_HEADER, error.deployed_model),))
        context.abort(error.code, error.message)
    if answered.headers:
        context.send_initial_metadata(tuple(answered.headers.items()))
    return answered


def _routing(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == _ROUTING_HEADER:
            return unquote(value if isinstance(value, str) else value.decode())
    return ""
