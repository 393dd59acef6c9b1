"""Whether the system lives: its heartbeat, what it can read of its targets, and how old the prices are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from rollouts_cli.doctor.finding import Finding, Health
from shared.errors import NotFoundError, RolloutsError
from shared.gapic.errors import translated
from shared.store.store import Store
from shared.wiring import World

HEARTBEAT, TARGETS, PRICES = "heartbeat", "targets", "prices"
TICKS = "logging.googleapis.com/user/rollouts/ticks"
SILENCE = timedelta(minutes=10)
"""Without a tick for so long an alert is raised too."""
OLDEST_PRICES = timedelta(days=180)


def heartbeat(project: str, now: datetime) -> Iterator[Finding]:
    """How many ticks ended lately, by the log-based metric that the alert looks at."""
    from shared.channels import monitoring_client
    from shared.gapic.lean import MONITORING, import_leanly

    import_leanly(MONITORING)
    from google.cloud.monitoring_v3.services.metric_service.client import MetricServiceClient
    from google.cloud.monitoring_v3.services.metric_service.transports.grpc import MetricServiceGrpcTransport
    from google.cloud.monitoring_v3.types import ListTimeSeriesRequest, TimeInterval

    request = ListTimeSeriesRequest(
        name=f"projects/{project}",
        filter=f'metric.type = "{TICKS}"',
        interval=TimeInterval(start_time=now - SILENCE, end_time=now),
        view=ListTimeSeriesRequest.TimeSeriesView.FULL,
    )
    remedy = "see heartbeat in docs/runbook.md"
    try:
        with translated(f"reading {TICKS}"):
            client: Any = monitoring_client(MetricServiceClient, MetricServiceGrpcTransport)()
            series = list(client.list_time_series(request=request, timeout=20))
    except NotFoundError:
        yield Finding(HEARTBEAT, Health.BROKEN, f"no tick has ever been counted ({TICKS})", remedy)
        return
    ticks = sum(point.value.int64_value for one in series for point in one.points)
    minutes = int(SILENCE.total_seconds() // 60)
    if ticks:
        yield Finding(HEARTBEAT, Health.OK, f"{ticks} ticks in the last {minutes} minutes")
    else:
        yield Finding(HEARTBEAT, Health.BROKEN, f"no tick has ended in the last {minutes} minutes", remedy)


def targets(world: World, store: Store) -> Iterator[Finding]:
    """Whether the endpoints of every policy can be read; one that is missing is made with the first version."""
    places = sorted(
        {(target.project or world.project, target.region) for one in store.policies() for target in one.policy.targets}
    )
    if not places:
        yield Finding(
            TARGETS, Health.ODD, "there is no policy, so nothing is delivered", "rollouts apply infra/policies"
        )
        return
    found = 0
    for project, region in places:
        try:
            found += len(world.endpoints.list(project, region))
        except RolloutsError as exc:
            yield Finding(
                TARGETS, Health.BROKEN, f"{project}/{region}: {exc}", "enable the API there, and grant what is missing"
            )
            return
    yield Finding(TARGETS, Health.OK, f"{found} endpoints in {len(places)} regions can be read")


def prices(today: date, dated: date) -> Iterator[Finding]:
    """Whether the price table is recent: costs and advice are computed from it."""
    age = today - dated
    if age > OLDEST_PRICES:
        yield Finding(
            PRICES,
            Health.ODD,
            f"they are of {dated}, {age.days} days old",
            "take a newer release, or name prices of your own",
        )
    else:
        yield Finding(PRICES, Health.OK, f"they are of {dated}")
