"""The filter language of subscriptions."""

from __future__ import annotations

import pytest
from google.api_core import exceptions

from local.pubsub.filter import FilterError, compile_filter
from tests.local.cloud import Cloud

ROLLBACK = {"kind": "alert", "model": "arr-coc", "iana.org/language_tag": "en"}


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("", True),
        ('attributes.kind = "alert"', True),
        ('attributes.kind="Alert"', False),
        ('attributes.missing = "alert"', False),
        ('attributes.kind != "alert"', False),
        ('attributes.kind != "tick"', True),
        ('attributes.missing != "x"', True),
        ("attributes:kind", True),
        ("attributes:missing", False),
        ('attributes:"iana.org/language_tag"', True),
        ('attributes."iana.org/language_tag" = "en"', True),
        ('hasPrefix(attributes.model, "arr-")', True),
        ('hasPrefix(attributes.model, "coc")', False),
        ('hasPrefix(attributes.missing, "")', False),
        ("NOT attributes:missing", True),
        ("-attributes:kind", False),
        ('attributes:kind AND attributes.model = "arr-coc"', True),
        ('attributes:missing OR attributes.model = "arr-coc"', True),
        ('attributes:missing AND attributes.model = "arr-coc"', False),
        ("attributes:kind AND (attributes:missing OR attributes:model)", True),
        ("NOT (attributes:missing OR attributes:model)", False),
        ("(((attributes:kind)))", True),
        (r'attributes.kind != "quo\"te"', True),
    ],
)
def test_an_expression_matches_as_documented(expression: str, matches: bool) -> None:
    assert compile_filter(expression)(ROLLBACK) is matches


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("bogus ===", "expected 'attributes'"),
        ("attributes.kind", "expected '=' or '!='"),
        ("attributes.kind = alert", "double quotes"),
        ('attributes.kind = "a" attributes:b', "expected an operator or the end"),
        ("attributes:a AND attributes:b OR attributes:c", "parentheses"),
        ("(attributes:a", "expected ')', found the end"),
        ("attributes.=", "the key of an attribute"),
        ('hasPrefix(attributes.a "x")', "expected ','"),
        ("attributes:a AND", "found the end"),
        ("attributes:a & attributes:b", "not part of the language"),
        (r'attributes.a = "\q"', "escapes"),
        ('attributes.a = "' + "x" * 250 + '"', "at most 256 bytes"),
    ],
)
def test_a_mistake_is_refused_with_its_place(expression: str, says: str) -> None:
    with pytest.raises(FilterError, match=says.replace("(", r"\(").replace(")", r"\)")):
        compile_filter(expression)


def test_a_mistake_is_refused_when_the_subscription_is_created(cloud: Cloud) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="expected 'attributes'"):
        cloud.subscription(cloud.topic(), filter="bogus ===")


def test_a_message_that_the_filter_rejects_is_not_delivered(cloud: Cloud) -> None:
    topic = cloud.topic()
    subscription = cloud.subscription(topic, filter='attributes.job = "assess"')
    cloud.publish(topic, job="audit")
    wanted = cloud.publish(topic, job="assess")
    assert [received.message.message_id for received in cloud.pull_now(subscription)] == [wanted]
