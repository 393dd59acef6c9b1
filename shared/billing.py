"""What was billed, from the billing export that Cloud Billing writes to BigQuery, hours late.

The export has a row per SKU, project, labels and hour: ``cost`` before credits, ``credits`` with negative amounts, both in the account's
currency, and ``currency_conversion_rate``, by which both are divided for US dollars. The standard export and the detailed one have these
columns alike, and so has a view of either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from shared.channels import bigquery_client
from shared.costs.actual import PREDICTION, SERVICE, Actual
from shared.errors import NotFoundError, PermanentError, TransientError

SECONDS = 60.0
_QUERY = (
    "SELECT SUM(CAST((cost + IFNULL((SELECT SUM(c.amount) FROM UNNEST(credits) AS c), 0)) / currency_conversion_rate AS NUMERIC)) AS usd,"
    " MAX(usage_end_time) AS billed_until FROM `{table}`"
    " WHERE service.id = @service AND STARTS_WITH(sku.description, @sku) AND project.id IN UNNEST(@projects)"
    " AND usage_start_time >= @begin AND usage_start_time < @end"
)


class Spend(Protocol):
    """Where the actual spend is read."""

    def of_month(self, projects: Collection[str], begin: datetime, end: datetime) -> Actual | None:
        """On prediction, of the usage that began in ``[begin, end)``, credits included; None where nothing is billed yet."""
        ...


class BillingExport:
    """The table ``bq://PROJECT.DATASET.gcp_billing_export_v1_ACCOUNT``, or a view of it."""

    def __init__(self, table: str, project: str) -> None:
        name = table.removeprefix("bq://")
        if not all(c.isalnum() or c in "-_." for c in name) or name.count(".") != 2:
            raise PermanentError(f"BILLING_EXPORT is {table}; expected bq://PROJECT.DATASET.TABLE")
        self._table, self._project = name, project
        self._client: Any = None

    def of_month(self, projects: Collection[str], begin: datetime, end: datetime) -> Actual | None:
        from google.api_core import exceptions
        from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter

        if self._client is None:
            self._client = bigquery_client(self._project)
        parameters = [
            ScalarQueryParameter("service", "STRING", SERVICE),
            ScalarQueryParameter("sku", "STRING", PREDICTION),
            ArrayQueryParameter("projects", "STRING", sorted(projects)),
            ScalarQueryParameter("begin", "TIMESTAMP", begin),
            ScalarQueryParameter("end", "TIMESTAMP", end),
        ]
        try:
            rows = self._client.query_and_wait(
                _QUERY.format(table=self._table),
                job_config=QueryJobConfig(query_parameters=parameters),
                api_timeout=SECONDS,
                wait_timeout=SECONDS,
            )
            row: Mapping[str, Any] = dict(next(iter(rows)))
        except exceptions.NotFound as exc:
            raise NotFoundError(f"the billing export {self._table} is not there: {exc}") from exc
        except exceptions.ClientError as exc:
            raise PermanentError(f"the billing export {self._table} cannot be read: {exc}") from exc
        except exceptions.GoogleAPIError as exc:
            raise TransientError(f"the billing export {self._table} cannot be read now: {exc}") from exc
        if row["usd"] is None:
            return None
        return Actual(f"{begin:%Y-%m}", Decimal(row["usd"]), row["billed_until"])


def spend_from(environment: Mapping[str, str]) -> Spend | None:
    """What ``BILLING_EXPORT`` names; None where it names nothing."""
    table = environment.get("BILLING_EXPORT", "")
    return BillingExport(table, environment.get("GOOGLE_CLOUD_PROJECT", "")) if table else None
