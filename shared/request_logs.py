"""Reading request-response logs, which Vertex AI writes to BigQuery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from shared.channels import bigquery_client
from shared.errors import NotFoundError, PermanentError, TransientError

SECONDS = 60.0
COLUMNS = "endpoint, deployed_model_id, logging_time, request_id, request_payload, response_payload"


class RequestLogs(Protocol):
    """Where logged requests are read."""

    def read(self, table: str, endpoint: str, begin: datetime, end: datetime, limit: int) -> list[Mapping[str, Any]]:
        """The rows of one endpoint in ``[begin, end)``; of more than ``limit`` as good as drawn at random, the same at each reading."""
        ...


class BigQueryLogs:
    """In the table ``bq://PROJECT.DATASET.TABLE`` that an endpoint's request logging names."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._client: Any = None

    def read(self, table: str, endpoint: str, begin: datetime, end: datetime, limit: int) -> list[Mapping[str, Any]]:
        from google.api_core import exceptions
        from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

        if self._client is None:
            self._client = bigquery_client(self._project)
        parameters = [
            ScalarQueryParameter("endpoint", "STRING", endpoint),
            ScalarQueryParameter("begin", "TIMESTAMP", begin),
            ScalarQueryParameter("end", "TIMESTAMP", end),
            ScalarQueryParameter("limit", "INT64", limit),
        ]
        query = (
            f"SELECT {COLUMNS} FROM `{_name(table)}`"  # noqa: S608 (the name is checked; a table cannot be a parameter)
            " WHERE endpoint = @endpoint AND logging_time >= @begin AND logging_time < @end"
            " ORDER BY FARM_FINGERPRINT(CAST(request_id AS STRING)) LIMIT @limit"
        )
        try:
            rows = self._client.query_and_wait(
                query, job_config=QueryJobConfig(query_parameters=parameters), api_timeout=SECONDS, wait_timeout=SECONDS
            )
            return [dict(row) for row in rows]
        except exceptions.NotFound as exc:
            raise NotFoundError(f"{table} is not there; the first logged request makes it: {exc}") from exc
        except exceptions.ClientError as exc:
            raise PermanentError(f"{table} cannot be read: {exc}") from exc
        except exceptions.GoogleAPIError as exc:
            raise TransientError(f"{table} cannot be read now: {exc}") from exc


def _name(table: str) -> str:
    name = table.removeprefix("bq://")
    if not all(c.isalnum() or c in "-_." for c in name) or name.count(".") != 2:
        raise PermanentError(f"{table} is no table; expected bq://PROJECT.DATASET.TABLE")
    return name
