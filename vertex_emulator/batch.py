"""Batch prediction: instances from JSON lines in a bucket's directory, predictions written beside (types/batch_prediction_job.py).

A BigQuery table ``bq://project.dataset.table`` is the file ``bq/project.dataset.table.jsonl`` in the directory of all buckets, a row per line.

A job has a model server of its own, works in a thread, and ends when both that and its compressed time are over.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from vertex_emulator.errors import ApiError, invalid, missing, precondition
from vertex_emulator.jobs import RUNNING
from vertex_emulator.messages import Message, copy_of
from vertex_emulator.names import last_segment
from vertex_emulator.serving.values import to_json

if TYPE_CHECKING:
    from vertex_emulator.config import Config
    from vertex_emulator.registry import Registry
    from vertex_emulator.serving.contract import ModelServer
    from vertex_emulator.serving.launcher import Launcher

_BATCH = 64  # types/manual_batch_tuning_parameters.py: batch_size
_FORMAT = "jsonl"
_TABLE = "bigquery"
_POLL = 0.02
logger = logging.getLogger(__name__)


@dataclass
class _Run:
    """One job at work, and what came of it."""

    thread: threading.Thread | None = None
    successes: int = 0
    failures: int = 0
    directory: str = ""
    error: ApiError | None = None
    results: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class BatchPredictions:
    """What batch prediction jobs do while they run."""

    def __init__(self, config: Config, registry: Registry, launcher: Launcher) -> None:
        self._config = config
        self._registry = registry
        self._launcher = launcher
        self._runs: dict[str, _Run] = {}
        self._stopping = threading.Event()

    def check(self, job: Message) -> None:
        """Refuse a job that cannot run; called before it is created, which also pins the model's version."""
        if job.model.startswith("publishers/") or not job.model:
            invalid("batch_prediction_job.model must name a model of the registry.")
        model, number = self._registry.find(job.model)
        job.model, job.model_version_id = f"{model.name}@{number}", str(number)
        source = (job.input_config.WhichOneof("source"), job.input_config.instances_format)
        if source not in (("gcs_source", _FORMAT), ("bigquery_source", _TABLE)):
            _unsupported("instances of the format jsonl in gcs_source, or bigquery in bigquery_source")
        if job.instance_config.included_fields and job.instance_config.excluded_fields:
            invalid("instance_config has included_fields and excluded_fields; only one of them may be populated.")
        if job.instance_config.instance_type not in ("", "object"):
            _unsupported("instance_config.instance_type object")
        if job.output_config.WhichOneof("destination") != "gcs_destination":
            _unsupported("predictions to gcs_destination")
        if job.output_config.predictions_format != _FORMAT:
            _unsupported("predictions of the format jsonl")
        if self._config.buckets is None:
            precondition(
                "Batch prediction needs the emulator's configuration key buckets: where gs:// is on this machine."
            )

    def follow(self, job: Message) -> None:
        """Start to work when a job begins to run; called with the state's lock held."""
        if job.state != RUNNING or job.name in self._runs:
            return
        model, number = self._registry.find(job.model)
        run = self._runs[job.name] = _Run()
        work = (run, copy_of(job), copy_of(model.versions[number]), model.display_name)
        run.thread = threading.Thread(target=self._work, args=work, name="batch-prediction", daemon=True)
        run.thread.start()

    def is_ready(self, job: Message) -> bool:
        """Whether the work is done; a job does not end before."""
        run = self._runs.get(job.name)
        return run is None or run.thread is None or not run.thread.is_alive()

    def complete(self, job: Message, _: datetime) -> None:
        """Write what came of it into the job; raises what it failed with."""
        run = self._runs.pop(job.name)
        job.completion_stats.successful_count = run.successes
        job.completion_stats.failed_count = run.failures
        if run.error is not None:
            raise run.error
        job.output_info.gcs_output_directory = run.directory

    def stop(self) -> None:
        """Give up what is still at work."""
        self._stopping.set()
        for run in list(self._runs.values()):
            if run.thread is not None:
                run.thread.join()

    def clear(self) -> None:
        """Give up what is still at work, and be ready for other jobs."""
        self.stop()
        self._runs.clear()
        self._stopping.clear()

    def _work(self, run: _Run, job: Message, version: Message, display_name: str) -> None:
        try:
            self._predict_all(run, job, version, display_name)
        except ApiError as error:
            run.error = error
        except Exception as error:
            logger.exception("The batch prediction job %s failed", job.name)
            run.error = ApiError(grpc.StatusCode.INTERNAL, f"Emulator error: {error!r}")

    def _predict_all(self, run: _Run, job: Message, version: Message, display_name: str) -> None:
        lines = list(self._lines(_uris(job.input_config)))
        place = job.name.replace("/batchPredictionJobs/", "/endpoints/")
        server = self._launcher.launch(version, place, last_segment(job.name))
        try:
            while not server.is_ready():
                if self._stopping.wait(_POLL):
                    return
            size = job.manual_batch_tuning_parameters.batch_size or _BATCH
            parameters = to_json(job.model_parameters) if job.HasField("model_parameters") else None
            remaining = iter(lines)
            while batch := list(itertools.islice(remaining, size)):
                if self._stopping.is_set():
                    return
                _predict(run, server, batch, parameters, job.instance_config)
        finally:
            self._launcher.discard(server)
        stamp = time.strftime("%Y_%m_%dT%H_%M_%S", time.gmtime()) + f"_{time.time_ns() // 1_000_000 % 1000:03d}Z"
        prefix = job.output_config.gcs_destination.output_uri_prefix.rstrip("/")
        run.directory = f"{prefix}/prediction-{display_name}-{stamp}"
        directory = self._path(run.directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "prediction.results-00000-of-00001").write_text("".join(run.results))
        (directory / "prediction.errors_stats-00000-of-00001").write_text("".join(run.errors))

    def _lines(self, uris: Sequence[str]) -> Iterator[Any]:
        for uri in uris:
            pattern = self._path(uri)
            files = sorted(pattern.parent.glob(pattern.name)) if "*" in pattern.name else [pattern]
            for file in files:
                if not file.is_file():
                    missing(f"The input file {uri}")
                for number, line in enumerate(file.read_text().splitlines(), 1):
                    if line.strip():
                        yield _parsed(line, f"{uri} line {number}")

    def _path(self, uri: str) -> Path:
        if uri.startswith("bq://"):
            return (self._config.buckets or Path()) / "bq" / f"{uri.removeprefix('bq://')}.jsonl"
        if not uri.startswith("gs://"):
            invalid(f"{uri!r} is not a URI of Cloud Storage: gs://BUCKET/OBJECT.")
        return (self._config.buckets or Path()) / uri.removeprefix("gs://")


def _uris(source: Message) -> Sequence[str]:
    table: str = source.bigquery_source.input_uri
    return [table] if table else list(source.gcs_source.uris)


def _sent(instance: Any, how: Message) -> Any:
    """What of an instance the model sees."""
    if not isinstance(instance, dict):
        return instance
    if how.included_fields:
        return {name: instance[name] for name in how.included_fields if name in instance}
    return {name: value for name, value in instance.items() if name not in (*how.excluded_fields, how.key_field)}


def _told(instance: Any, how: Message) -> dict[str, Any]:
    """How the output says which instance it is about: by its key, or by itself, with what was kept from the model."""
    if how.key_field and isinstance(instance, dict):
        return {"key": instance.get(how.key_field)}
    return {"instance": instance}


def _predict(run: _Run, server: ModelServer, batch: Sequence[Any], parameters: Any, how: Message) -> None:
    instances = [_sent(instance, how) for instance in batch]
    document = {"instances": instances} | ({"parameters": parameters} if parameters is not None else {})
    answer = server.handle(json.dumps(document).encode(), "application/json", 0.0)
    try:
        predictions = json.loads(answer.body)["predictions"] if answer.is_ok else None
    except (ValueError, KeyError, TypeError):
        predictions = None
    if predictions is None:
        status = {"code": answer.status, "message": answer.body[:500].decode(errors="replace")}
        run.errors.extend(json.dumps({**_told(instance, how), "error": status}) + "\n" for instance in batch)
        run.failures += len(batch)
        return
    pairs = zip(batch, predictions, strict=False)
    run.results.extend(json.dumps({**_told(instance, how), "prediction": made}) + "\n" for instance, made in pairs)
    run.successes += len(batch)


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return invalid(f"{where} is not JSON: {line[:100]!r}.")


def _unsupported(what: str) -> NoReturn:
    raise ApiError(grpc.StatusCode.UNIMPLEMENTED, f"The emulator's batch prediction supports {what} only.")
