"""Alert policies and notification channels: what is accepted, kept and given back."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions

from tests.emulator_monitoring.conftest import PROJECT, Local
from tests.emulator_monitoring.test_incidents import P95_PER_MODEL, error_ratio_policy, p95_policy, pubsub_channel

SUM = {"alignment_period": {"seconds": 60}, "per_series_aligner": "ALIGN_SUM"}


def test_a_policy_is_created_read_and_deleted(local: Local) -> None:
    created = local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([]))
    assert created.name.startswith(f"{PROJECT}/alertPolicies/")
    assert created.conditions[0].name.startswith(f"{created.name}/conditions/")
    assert created.enabled
    assert local.policies.get_alert_policy(name=created.name) == created
    local.policies.delete_alert_policy(name=created.name)
    for call in (local.policies.get_alert_policy, local.policies.delete_alert_policy):
        with pytest.raises(exceptions.NotFound):
            call(name=created.name)


def test_an_update_with_a_mask_changes_only_what_is_named(local: Local) -> None:
    policy = local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([]))
    changed = {
        "name": policy.name,
        "display_name": "ignored",
        "user_labels": {"team": "search"},
        "documentation": {"content": "read this", "subject": "ignored"},
    }
    updated = local.policies.update_alert_policy(
        alert_policy=changed, update_mask={"paths": ["user_labels", "documentation.content"]}
    )
    assert dict(updated.user_labels) == {"team": "search"}
    assert updated.documentation.content == "read this"
    assert updated.documentation.subject == ""
    assert updated.display_name == "relevance latency"
    assert updated.conditions == policy.conditions


def test_one_user_label_can_be_set_and_cleared_by_its_key(local: Local) -> None:
    policy = local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([]))
    mask = {"paths": ["user_labels.team"]}
    added = local.policies.update_alert_policy(
        alert_policy={"name": policy.name, "user_labels": {"team": "search"}}, update_mask=mask
    )
    assert dict(added.user_labels) == {"rollout-policy": "relevance", "team": "search"}
    removed = local.policies.update_alert_policy(alert_policy={"name": policy.name}, update_mask=mask)
    assert dict(removed.user_labels) == {"rollout-policy": "relevance"}


def test_an_update_without_a_mask_replaces_all_and_named_conditions_keep_their_id(local: Local) -> None:
    policy = local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([]))
    replacement = error_ratio_policy([])
    replacement["name"] = policy.name
    replacement["combiner"] = "OR"
    replacement["conditions"].append({**p95_policy([])["conditions"][0], "name": policy.conditions[0].name})
    updated = local.policies.update_alert_policy(alert_policy=replacement)
    assert updated.display_name == "errors"
    assert dict(updated.user_labels) == {}
    assert updated.conditions[1].name == policy.conditions[0].name
    assert updated.conditions[0].name not in ("", policy.conditions[0].name)


def test_a_refused_update_leaves_the_policy_as_it_was(local: Local) -> None:
    policy = local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([]))
    for mask in (["display_name"], ["no_such_field"], ["display_name.x"]):
        with pytest.raises(exceptions.InvalidArgument):
            local.policies.update_alert_policy(alert_policy={"name": policy.name}, update_mask={"paths": mask})
    assert local.policies.get_alert_policy(name=policy.name) == policy


def test_policies_are_listed_by_page_and_filter(local: Local) -> None:
    for number in range(3):
        policy = {**p95_policy([]), "display_name": f"p{number}", "user_labels": {"n": str(number)}}
        local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)
    pages = list(local.policies.list_alert_policies({"name": PROJECT, "page_size": 2}).pages)
    assert [[p.display_name for p in page.alert_policies] for page in pages] == [["p0", "p1"], ["p2"]]
    for filter_ in ('user_labels.n = "1"', 'display_name = "p1"'):
        found = list(local.policies.list_alert_policies({"name": PROJECT, "filter": filter_}))
        assert [p.display_name for p in found] == ["p1"]
    assert list(local.policies.list_alert_policies(name="projects/another")) == []


def changed(**threshold: Any) -> dict[str, Any]:
    return p95_policy([], **threshold)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({**changed(), "display_name": ""}, "display name"),
        ({**changed(), "conditions": []}, "one to six"),
        ({**changed(), "conditions": changed()["conditions"] * 2, "combiner": 0}, "combiner"),
        ({**changed(), "user_labels": {"Team": "x"}}, "lowercase"),
        ({**changed(), "alert_strategy": {"auto_close": {"seconds": 60}}}, "between 30 minutes"),
        (
            {**changed(), "alert_strategy": {"notification_rate_limit": {"period": {"seconds": 60}}}},
            "Only alert policies with a log match condition",
        ),
        (changed(comparison="COMPARISON_GE"), "Only COMPARISON_LT and COMPARISON_GT"),
        (changed(duration={"seconds": 90}), "multiples of a minute"),
        (changed(duration={"seconds": 0}, evaluation_missing_data=1), "at least 60 seconds"),
        (changed(aggregations=[SUM]), "needs a number per series"),
        (changed(aggregations=[{**P95_PER_MODEL, "alignment_period": {"seconds": 10}}]), "at least 60 seconds"),
        (
            changed(filter='metric.type = "x.googleapis.com/y" resource.labels.a = "b"'),
            r'restriction on "resource\.type"',
        ),
        (
            error_ratio_policy([], denominator_aggregations=[{**SUM, "alignment_period": {"seconds": 120}}]),
            "same alignment",
        ),
        ({**changed(), "conditions": [{"display_name": "nothing"}]}, "condition must be specified"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(local: Local, policy: dict[str, Any], why: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=why):
        local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)


def test_absence_shorter_than_two_minutes_is_refused(local: Local) -> None:
    condition = changed()["conditions"][0]["condition_threshold"]
    absent = {"filter": condition["filter"], "duration": {"seconds": 60}}
    policy = {"display_name": "x", "conditions": [{"display_name": "x", "condition_absent": absent}]}
    with pytest.raises(exceptions.InvalidArgument, match="at least 120 seconds"):
        local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)


def test_a_policy_on_a_metric_never_written_is_not_found(local: Local) -> None:
    """As in the service, where a new metric takes minutes before a policy on it can be made."""
    policy = changed(filter='metric.type = "custom.googleapis.com/new" resource.type = "global"')
    with pytest.raises(exceptions.NotFound, match="could take up to 10 minutes"):
        local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)


def test_conditions_that_this_server_cannot_evaluate_are_refused_rather_than_ignored(local: Local) -> None:
    log_match = {"display_name": "x", "condition_matched_log": {"filter": "severity>=ERROR"}}
    forecast = changed(forecast_options={"forecast_horizon": {"seconds": 3600}})
    for policy in ({"display_name": "x", "conditions": [log_match]}, forecast):
        with pytest.raises(exceptions.MethodNotImplemented):
            local.policies.create_alert_policy(name=PROJECT, alert_policy=policy)


def test_a_policy_names_only_channels_that_exist_and_keeps_them_from_deletion(local: Local) -> None:
    with pytest.raises(exceptions.NotFound):
        local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([f"{PROJECT}/notificationChannels/1"]))
    channel = pubsub_channel(local)
    local.policies.create_alert_policy(name=PROJECT, alert_policy=p95_policy([channel]))
    with pytest.raises(exceptions.FailedPrecondition):
        local.channels.delete_notification_channel(name=channel)
    local.channels.delete_notification_channel(name=channel, force=True)
    with pytest.raises(exceptions.NotFound):
        local.channels.get_notification_channel(name=channel)


def test_a_channel_is_updated_and_its_password_never_shown(local: Local) -> None:
    labels = {"url": "http://127.0.0.1:1/", "username": "monitoring", "password": "opensesame"}
    channel = local.channels.create_notification_channel(
        name=PROJECT, notification_channel={"type_": "webhook_basicauth", "labels": labels, "display_name": "hook"}
    )
    assert channel.labels["password"] == "**********"
    updated = local.channels.update_notification_channel(
        notification_channel={"name": channel.name, "enabled": False, "display_name": "ignored"},
        update_mask={"paths": ["enabled"]},
    )
    assert not updated.enabled
    assert updated.display_name == "hook"
    assert updated.labels["username"] == "monitoring"


def test_channels_are_listed_by_type(local: Local) -> None:
    channel = pubsub_channel(local)
    local.channels.create_notification_channel(
        name=PROJECT, notification_channel={"type_": "email", "labels": {"email_address": "a@example.com"}}
    )
    found = local.channels.list_notification_channels({"name": PROJECT, "filter": 'type = "pubsub"'})
    assert [c.name for c in found] == [channel]


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ({"type_": "pager", "labels": {}}, "Unknown channel type"),
        ({"type_": "pubsub", "labels": {}}, "label is required"),
        ({"type_": "pubsub", "labels": {"topic": "alert-fired"}}, r"projects/\[PROJECT\]/topics"),
        ({"type_": "pubsub", "labels": {"topic": "projects/p/topics/t", "x": "y"}}, "Unknown label"),
        ({"type_": "webhook_tokenauth", "labels": {"url": "ftp://example.com"}}, r"http\(s\) URL"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(local: Local, channel: dict[str, Any], why: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=why):
        local.channels.create_notification_channel(name=PROJECT, notification_channel=channel)


def test_channel_descriptors_say_which_labels_are_needed(local: Local) -> None:
    found = {d.type_: d for d in local.channels.list_notification_channel_descriptors(name=PROJECT)}
    assert {label.key for label in found["webhook_basicauth"].labels} == {"url", "username", "password"}
    name = f"{PROJECT}/notificationChannelDescriptors/pubsub"
    assert local.channels.get_notification_channel_descriptor(name=name) == found["pubsub"]
