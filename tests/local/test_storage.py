"""The local Cloud Storage as Google's own client sees it, and our adapter on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from local.storage import Storage, StorageError
from shared.buckets import RestBuckets
from shared.errors import BusyError, ConflictError, NotFoundError, RefusedError, RolloutsError, TransientError
from shared.reports import reports_from


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    with Storage(tmp_path) as made:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", made.url)
        yield made


@pytest.fixture
def google(served: Storage) -> Iterator[Any]:
    client = storage.Client(project="local-project", credentials=AnonymousCredentials())
    yield client
    client.close()


def test_googles_client_writes_reads_lists_copies_and_deletes(served: Storage, google: Any) -> None:
    bucket = google.bucket("models")
    blob = bucket.blob("run-1/model.bin")
    blob.metadata = {"run": "run-1"}
    blob.upload_from_string(b"\x00weights\r\n--x\r\n", content_type="application/octet-stream", if_generation_match=0)
    assert blob.download_as_bytes() == b"\x00weights\r\n--x\r\n"
    with pytest.raises(PreconditionFailed):
        bucket.blob("run-1/model.bin").upload_from_string(b"other", if_generation_match=0)
    copied = google.bucket("edge").blob("v1/model.bin")
    token, rewritten, total = copied.rewrite(blob, if_generation_match=0)
    assert (token, rewritten, total) == (None, 15, 15)
    assert copied.metadata == {"run": "run-1"}
    assert [b.name for b in google.list_blobs("edge", prefix="v1/")] == ["v1/model.bin"]
    blob.delete()
    with pytest.raises(NotFound):
        bucket.blob("run-1/model.bin").reload()
    assert served.names("models") == []


def test_ours_does_the_same_without_a_client(served: Storage, google: Any) -> None:
    ours = RestBuckets()
    assert ours.look("models", "a") is None
    made = ours.write("models", "dir/a b.json", b'{"x": 1}', "application/json", 0, {"live": "a"})
    assert (made.metadata, made.size) == ({"live": "a"}, 8)
    assert ours.look("models", "dir/a b.json") == made
    assert ours.read("models", "dir/a b.json") == b'{"x": 1}'
    again = ours.write("models", "dir/a b.json", b"{}", "application/json", made.generation, {})
    assert again.generation > made.generation
    with pytest.raises(ConflictError, match="did not hold"):
        ours.write("models", "dir/a b.json", b"[]", "application/json", made.generation, {})
    with pytest.raises(NotFoundError):
        ours.read("models", "nothing")
    copy = ours.copy(again, "edge", "v1/a b.json")
    assert (copy.bucket, copy.name, copy.crc32c) == ("edge", "v1/a b.json", again.crc32c)
    assert copy.crc32c == google.bucket("edge").get_blob("v1/a b.json").crc32c


def test_a_list_goes_on_over_its_pages(served: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.buckets._PAGE", 2)
    ours = RestBuckets()
    for number in range(5):
        ours.write("live", f"p/{number}.json", b"{}", "application/json", 0, {"n": str(number)})
    assert [one.metadata["n"] for one in ours.list("live", "p/")] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, TransientError), (403, RefusedError), (429, BusyError), (500, TransientError), (503, TransientError)],
)
def test_what_storage_refuses_is_one_of_our_errors(served: Storage, status: int, error: type[RolloutsError]) -> None:
    def refuse(method: str, name: str) -> None:
        raise StorageError(status, "the reason")

    served.before = refuse
    with pytest.raises(error, match=rf"reading gs://live/a: the reason \({status}\)"):
        RestBuckets().read("live", "a")


def test_a_storage_that_is_gone_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Storage(tmp_path) as gone:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gone.url)
    with pytest.raises(TransientError, match="reading gs://live/a"):
        RestBuckets().look("live", "a")


def test_a_name_that_leaves_its_bucket_is_refused(served: Storage) -> None:
    with pytest.raises(RefusedError, match="no object's name"):
        RestBuckets().read("live", "../../secret")


def test_a_report_is_kept_in_a_bucket_and_written_again_on_the_same_day(served: Storage, google: Any) -> None:
    """As the cost audit writes it in the cloud: with Google's client, found by its environment."""
    reports = reports_from({"REPORTS_BUCKET": "reports"}, "local-project")
    assert reports is not None
    for total in ("$471.96", "$473.04"):
        files = {"costs.html": f"<p>{total}</p>", "costs.csv": f"total\n{total}\n"}
        at = reports.write("costs/2026-11-28", files)
    assert at.endswith("/_details/reports/costs/2026-11-28/costs.html")
    assert served.names("reports") == ["costs/2026-11-28/costs.csv", "costs/2026-11-28/costs.html"]
    kept = google.bucket("reports").get_blob("costs/2026-11-28/costs.html")
    assert (kept.download_as_text(), kept.content_type) == ("<p>$473.04</p>", "text/html; charset=utf-8")
