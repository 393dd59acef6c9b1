"""Every metric that a chart or an alert names is written by somebody, and can be aggregated as it is asked to be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra.package import ROOT
from shared.metrics.reader import USER_METRICS

INFRA = ROOT / "infra"
GOOGLES: dict[str, str] = json.loads((ROOT / "tests" / "data" / "metrics.json").read_text())["metrics"]
OURS: dict[str, dict[str, Any]] = yaml.safe_load((INFRA / "metrics.yaml").read_text())
LOG_BASED = "logging.googleapis.com/user/"
WIDEST = 50
"""Widgets of a dashboard (Cloud Monitoring's quota)."""


def kind_of(metric: str) -> str:
    """Kind and value of a metric that somebody writes."""
    if metric.startswith(LOG_BASED):
        name = metric.removeprefix(LOG_BASED)
        assert name in OURS, f"{metric} is not in infra/metrics.yaml"
        return "DELTA DISTRIBUTION" if "value" in OURS[name] else "DELTA INT64"
    assert metric in GOOGLES, f"{metric} is not among the metrics that Google writes (tests/data/metrics.json)"
    return GOOGLES[metric]


def charts() -> Iterator[tuple[str, dict[str, Any]]]:
    dashboard = yaml.safe_load((INFRA / "dashboard.yaml").read_text())
    for tile in dashboard["mosaicLayout"]["tiles"]:
        for data in tile["widget"]["xyChart"]["dataSets"]:
            yield tile["widget"]["title"], data["timeSeriesQuery"]["timeSeriesFilter"]


@pytest.mark.parametrize(("title", "query"), list(charts()))
def test_a_chart_shows_what_is_written_and_can_be_aggregated(title: str, query: dict[str, Any]) -> None:
    (metric,) = re.findall(r'metric\.type="([^"]+)"', query["filter"])
    kind, aggregation = kind_of(metric), query["aggregation"]
    aligner, reducer = aggregation["perSeriesAligner"], aggregation["crossSeriesReducer"]
    assert (aligner in ("ALIGN_DELTA", "ALIGN_RATE")) == kind.startswith("DELTA"), title
    assert ("PERCENTILE" in reducer or reducer == "REDUCE_MEAN") or not kind.endswith("DISTRIBUTION"), title
    labels = {label.rpartition(".")[2] for label in aggregation.get("groupByFields", []) if label.startswith("metric.")}
    if metric.startswith(LOG_BASED):
        assert labels <= set(OURS[metric.removeprefix(LOG_BASED)].get("labels", {})), title


def test_the_dashboard_has_all_that_was_promised_and_fits() -> None:
    shown = " ".join(title for title, _ in charts())
    for part in (
        "Decisions by kind",
        "in progress",
        "restored",
        "side by side",
        "Functions",
        "Dead letters",
        "costs",
        "Heartbeat",
    ):
        assert part in shown
    tiles = yaml.safe_load((INFRA / "dashboard.yaml").read_text())["mosaicLayout"]["tiles"]
    assert len(tiles) <= WIDEST
    taken = {
        (x, y)
        for t in tiles
        for x in range(t["xPos"], t["xPos"] + t["width"])
        for y in range(t["yPos"], t["yPos"] + t["height"])
    }
    assert len(taken) == sum(t["width"] * t["height"] for t in tiles), "tiles overlap"


def test_every_alert_is_about_a_metric_that_is_written() -> None:
    text = "\n".join(path.read_text() for path in INFRA.rglob("*.tf"))
    named = set(re.findall(r'metric\.type = \\"([^\\"]+)\\"', text))
    named = {metric.replace("${local.online}", "aiplatform.googleapis.com/prediction/online") for metric in named}
    own = {metric for metric in named if "google_monitoring_metric_descriptor" in metric}
    assert len(named) > 5
    assert all(kind_of(metric) for metric in named - own)
    assert f'type         = "{USER_METRICS}${{each.key}}"' in text
    queried = {name.replace("_", "/", 1) for name in re.findall(r"logging_googleapis_com:user_(\w+)", text)}
    assert queried <= set(OURS) and queried
