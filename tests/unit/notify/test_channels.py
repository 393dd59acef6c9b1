"""Which channel a name leads to, who gets what, and that no secret can be printed."""

from __future__ import annotations

import json

import pytest

from shared.actions.notify import channels_for
from shared.errors import PermanentError
from shared.notify.channels import Channel, Channels
from shared.notify.gchat import ChatWebhook
from shared.notify.slack import SlackBot, SlackWebhook
from shared.notify.webhook import Webhook

SECRETS = {"url": "https://example.com/hidden-path", "secret": "hidden-secret", "token": "xoxb-hidden", "channel": "C0"}
CHANNELS = Channels.from_json(
    json.dumps(
        {
            "all": SECRETS,
            "bare": {"url": "https://hooks.example.com/hidden", "secret": None},
            "gov": {"token": "xoxb-hidden", "channel": "C1", "api": "https://gov.example.com/api"},
            "empty": {},
        }
    )
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("webhook://all", Webhook),
        ("slack://all", SlackBot),
        ("gchat://all", ChatWebhook),
        ("slack://bare", SlackWebhook),
        ("gchat://bare", ChatWebhook),
        ("slack://gov", SlackBot),
    ],
)
def test_the_scheme_says_what_is_there(name: str, kind: type[Channel]) -> None:
    found = CHANNELS.find(name)
    assert isinstance(found, kind)
    assert "hidden" not in f"{found!r} {found} {CHANNELS!r}"


@pytest.mark.parametrize("name", ["webhook://bare", "webhook://gov", "slack://empty", "gchat://gov", "pager://all"])
def test_a_channel_without_its_keys_says_which_it_needs(name: str) -> None:
    with pytest.raises(PermanentError, match=f"channel {name} lacks keys in NOTIFY_CHANNELS; webhook needs url and"):
        CHANNELS.find(name)


def test_a_channel_that_is_not_there_says_which_are() -> None:
    with pytest.raises(
        PermanentError, match="channel slack://alll is not in NOTIFY_CHANNELS; known are all, bare, emp"
    ):
        CHANNELS.find("slack://alll")


@pytest.mark.parametrize("text", ["", "[]", '{"ops": "https://example.com"}', '{"ops": ["url"]}', "null"])
def test_channels_of_another_form_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(PermanentError, match="NOTIFY_CHANNELS is not of the form"):
        Channels.from_json(text)


def test_a_channel_gets_what_is_serious_enough_for_it_once() -> None:
    notify = ["slack://ml", "slack://on-call?from=error", "webhook://log?from=warning", "slack://ml?from=error"]
    assert channels_for(notify, "info") == ["slack://ml"]
    assert channels_for(notify, "warning") == ["slack://ml", "webhook://log"]
    assert channels_for(notify, "error") == ["slack://ml", "slack://on-call", "webhook://log"]
