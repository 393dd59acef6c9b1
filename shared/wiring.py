"""What a function works with, built from its environment, each part on first use.

A function that never asks for Cloud Monitoring never imports its client: cold start decides how soon an emergency rollback happens.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from shared import clock
from shared.errors import PermanentError

if TYPE_CHECKING:
    from shared.buckets import Buckets
    from shared.identity import Keys
    from shared.metrics.hourly import HourlyMetrics
    from shared.metrics.reader import ServedMetrics
    from shared.metrics.writer import QualityWriter
    from shared.notify.channels import Channels
    from shared.policy.schema import Policy
    from shared.publisher import Publisher
    from shared.reports import Reports
    from shared.request_logs import RequestLogs
    from shared.store.store import Store
    from shared.vertex.batch import BatchJobs
    from shared.vertex.groups import GroupedEndpoints
    from shared.vertex.jobs import Jobs
    from shared.vertex.pools import Pools
    from shared.vertex.predictions import Predictions
    from shared.vertex.registry import Registry


class World:
    """The adapters of one process."""

    def __init__(self, environment: Mapping[str, str] | None = None, now: clock.Clock = clock.now) -> None:
        self.environment = os.environ if environment is None else environment
        self.now = now
        self.refusals: set[str] = set()
        """Ids of the refused commands that this process has written to the ledger."""
        self.policies: dict[tuple[str, int], Policy] = {}
        """By model and version, those of the last tick: a version never changes, and to read thousands anew takes a tenth of a tick."""

    @property
    def project(self) -> str:
        """The project that the functions run in; a policy's targets are in it unless they say otherwise."""
        project = self.environment.get("GOOGLE_CLOUD_PROJECT", "")
        if not project:
            raise PermanentError("GOOGLE_CLOUD_PROJECT is not set; set it to the id of the project that this runs in")
        return project

    @cached_property
    def endpoints(self) -> GroupedEndpoints:
        from shared.vertex.groups import GroupedEndpoints

        return GroupedEndpoints(self.live_bucket, lambda: self.buckets)

    @property
    def live_bucket(self) -> str:
        """The bucket whose objects say which endpoint is live, or whose each key is; empty where nobody needs one."""
        return self.environment.get("LIVE_BUCKET", "")

    @cached_property
    def buckets(self) -> Buckets:
        from shared.buckets import RestBuckets

        return RestBuckets()

    @cached_property
    def predictions(self) -> Predictions:
        from shared.vertex.predictions import Predictions

        return Predictions()

    @cached_property
    def registry(self) -> Registry:
        from shared.vertex.registry import Registry

        return Registry()

    @cached_property
    def pools(self) -> Pools:
        from shared.vertex.pools import Pools

        return Pools()

    @cached_property
    def jobs(self) -> Jobs:
        from shared.vertex.jobs import Jobs

        return Jobs()

    @cached_property
    def batch_jobs(self) -> BatchJobs:
        from shared.vertex.batch import BatchJobs

        return BatchJobs()

    @cached_property
    def metrics(self) -> ServedMetrics:
        from shared.metrics.reader import ServedMetrics

        return ServedMetrics()

    @cached_property
    def quality_writer(self) -> QualityWriter:
        from shared.metrics.writer import QualityWriter

        return QualityWriter()

    @cached_property
    def hourly(self) -> HourlyMetrics:
        from shared.metrics.hourly import HourlyMetrics

        return HourlyMetrics()

    @cached_property
    def reports(self) -> Reports | None:
        from shared.reports import reports_from

        return reports_from(self.environment, self.environment.get("GOOGLE_CLOUD_PROJECT", ""))

    @cached_property
    def request_logs(self) -> RequestLogs:
        from shared.request_logs import BigQueryLogs

        return BigQueryLogs(self.project)

    @cached_property
    def publisher(self) -> Publisher:
        from shared.publisher import Publisher

        return Publisher(self.project)

    @cached_property
    def keys(self) -> Keys:
        from shared.identity import GOOGLE_CERTS, Keys

        return Keys(self.environment.get("ID_TOKEN_CERTS_URL", GOOGLE_CERTS))

    @cached_property
    def iap_keys(self) -> Keys:
        from shared.identity import IAP_CERTS, Keys

        return Keys(self.environment.get("IAP_CERTS_URL", IAP_CERTS))

    @cached_property
    def store(self) -> Store:
        return store_from_env(self.environment)

    @property
    def page(self) -> str:
        """The address of the status page, for links in messages; empty where there is none."""
        return self.environment.get("STATUS_PAGE_URL", "")

    @cached_property
    def channels(self) -> Channels:
        from shared.notify.channels import Channels

        return Channels.from_json(self.environment.get("NOTIFY_CHANNELS", "{}"))


def store_from_env(environment: Mapping[str, str] | None = None) -> Store:
    """``STORE=firestore`` (with ``FIRESTORE_DATABASE``), or the embedded default in the file ``STORE_PATH``."""
    from shared.store.store import Store

    environment = os.environ if environment is None else environment
    kind = environment.get("STORE", "sqlite")
    if kind == "firestore":
        from shared.store.firestore import FirestoreDocuments

        return Store(
            FirestoreDocuments(
                environment.get("GOOGLE_CLOUD_PROJECT"), environment.get("FIRESTORE_DATABASE", "(default)")
            )
        )
    if kind == "sqlite":
        from shared.store.sqlite import SQLiteDocuments

        return Store(SQLiteDocuments(environment.get("STORE_PATH", ".run/rollouts.db")))
    raise PermanentError(f"STORE={kind} is not known; allowed are firestore and sqlite")


@lru_cache(maxsize=1)
def world() -> World:
    """The one of this process."""
    return World()
