"""Batch prediction: what of an instance a model sees, and how the output says which instance it is about (types/batch_prediction_job.py)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from tests.emulator.conftest import PARENT, ManualClock, Vertex
from vertex_emulator.config import Config
from vertex_emulator.server import Emulator

ROWS = [{"id": 1, "x": 2, "label": "a"}, {"id": 2, "x": 3, "label": "b"}]


def answered(folder: Path, table: bool = False, **how: Any) -> list[Any]:
    """The lines that a job writes."""
    name = "bq/shop.golden.churn.jsonl" if table else "golden/set.jsonl"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("\n".join(json.dumps(row) for row in ROWS))
    clock = ManualClock()
    emulator = Emulator(Config(buckets=folder), clock=clock)
    vertex = Vertex(emulator, clock)
    try:
        vertex.upload()
        source = (
            {"instances_format": "bigquery", "bigquery_source": {"input_uri": "bq://shop.golden.churn"}}
            if table
            else {"instances_format": "jsonl", "gcs_source": {"uris": ["gs://golden/*.jsonl"]}}
        )
        job = {
            "display_name": "golden",
            "model": f"{PARENT}/models/relevance",
            "input_config": source,
            "instance_config": how,
            "output_config": {"predictions_format": "jsonl", "gcs_destination": {"output_uri_prefix": "gs://out"}},
        }
        made = vertex.jobs.create_batch_prediction_job({"parent": PARENT, "batch_prediction_job": job})
        vertex.advance(60)
        for _ in range(500):
            vertex.advance(600)
            done = vertex.jobs.get_batch_prediction_job({"name": made.name})
            if done.output_info.gcs_output_directory:
                break
            time.sleep(0.01)
    finally:
        vertex.channel.close()
        emulator.stop()
    written = folder / done.output_info.gcs_output_directory.removeprefix("gs://") / "prediction.results-00000-of-00001"
    return [json.loads(line) for line in written.read_text().splitlines()]


def test_an_excluded_field_stays_in_the_output_and_the_model_never_sees_it(tmp_path: Path) -> None:
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    found = answered(kept, excluded_fields=["label"])
    assert [line["instance"] for line in found] == ROWS
    bare = answered(gone, included_fields=["id", "x"])
    assert [line["prediction"] for line in bare] == [line["prediction"] for line in found]


def test_a_key_stands_in_the_place_of_the_instance(tmp_path: Path) -> None:
    assert [set(line) for line in answered(tmp_path, key_field="id")] == [{"key", "prediction"}] * 2


def test_a_table_is_a_file_of_rows(tmp_path: Path) -> None:
    assert [line["instance"] for line in answered(tmp_path, table=True, instance_type="object")] == ROWS


def test_included_and_excluded_fields_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="only one of them"):
        answered(tmp_path, included_fields=["x"], excluded_fields=["label"])
