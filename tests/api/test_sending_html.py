"""`client.messages.create(html=…)`: sent as it is, kept by the cloud with its mentions, in both styles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from webex import AsyncWebex, Webex
from webex.emulator.accounts import ALICE_TOKEN, BOB_ID, BOB_TOKEN
from webex.emulator.cloud import Cloud
from webex.errors import BadRequestError, ConfigurationError
from webex.ids import public_id

BOB = public_id("PEOPLE", BOB_ID)


def mention(who: str) -> str:
    return f'<spark-mention data-object-type="person" data-object-id="{who}">Bob</spark-mention>'


@pytest.fixture
def alice(webex_cloud: Cloud) -> Any:
    with Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as client:
        yield client


@pytest.mark.parametrize("who", [BOB, BOB_ID], ids=["public-id", "uuid"])
def test_html_is_sent_and_mentions_reach_people(webex_cloud: Cloud, alice: Webex, who: str) -> None:
    room = str(alice.rooms.create(title="A room").id)
    alice.memberships.create(room_id=room, person_email="bob@example.com")
    sent = alice.messages.create(room_id=room, html=f"<h2>News</h2>{mention(who)} &amp; <b>all</b><br>more")
    (request,) = webex_cloud.requests.find(method="POST", path="/v1/messages")
    assert request.body.keys() == {"roomId", "html"}
    assert sent.html == f"<h2>News</h2>{mention(BOB)} &amp; <b>all</b><br>more"
    assert (sent.text, sent.markdown, sent.mentioned_people) == ("News Bob & all more", None, [BOB])
    with Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob:
        (got,) = bob.messages.list(room_id=room, mentioned_people=["me"]).to_list()
        assert (got.html, got.text) == (sent.html, sent.text)
        assert got.text_without_mention(BOB) == "News & all more"


def test_html_message_event_is_decrypted(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url) as client:
            room = str((await client.rooms.create(title="A room")).id)
            async with client.messages.listen() as events:
                sent = await client.messages.create(room_id=room, html="<b>hello</b>", text="HELLO")
                event = await anext(events)
            assert (event.data.html, event.data.text) == (sent.html, "HELLO") == ("<b>hello</b>", "HELLO")

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize(
    ("html", "kept", "text"),
    [
        pytest.param("<script>alert(1)</script>hi", "alert(1)hi", "alert(1)hi", id="script"),
        pytest.param('<b onclick="x()">hi</b>', "<b>hi</b>", "hi", id="attribute"),
        pytest.param('<a href="https://example.com/?a=1&amp;b=2" x="y">l</a>',
                     '<a href="https://example.com/?a=1&amp;b=2">l</a>', "l", id="link"),
        pytest.param('<a href="javascript:x()">l</a>', "<a>l</a>", "l", id="script-link"),
        pytest.param("<ul><li>a</li><li>b</li></ul>", "<ul><li>a</li><li>b</li></ul>", "a b", id="list"),
        pytest.param(f"{mention(public_id('PEOPLE', '0' * 8 + '-0000-4000-8000-' + '0' * 12))} hi", "Bob hi", "Bob hi",
                     id="unknown-person"),
        pytest.param("a < b", "a &lt; b", "a < b", id="no-tag"),
    ],
)  # fmt: skip
def test_supported_markup_is_kept(alice: Webex, html: str, kept: str, text: str) -> None:
    sent = alice.messages.create(room_id=str(alice.rooms.create(title="A room").id), html=html)
    assert (sent.html, sent.text) == (kept, text)


def test_mention_of_all_is_kept(alice: Webex) -> None:
    html = '<spark-mention data-object-type="groupMention" data-group-type="all">All</spark-mention> hi'
    sent = alice.messages.create(room_id=str(alice.rooms.create(title="A room").id), html=html)
    assert (sent.html, sent.text, sent.mentioned_groups) == (html, "All hi", ["all"])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param({"html": "<b>a</b>", "markdown": "**a**"}, "markdown or html", id="both"),
        pytest.param({"html": "x" * 7440}, "html has 7,440 bytes", id="too-long"),
        pytest.param({"html": "x", "text": "x" * 7440}, "stands in for what is formatted", id="text-too-long"),
        pytest.param({"html": 7}, "html must be text", id="no-text"),
    ],
)
def test_unsupported_html_is_refused_before_sending(
    webex_cloud: Cloud, alice: Webex, fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        alice.messages.create(room_id=public_id("ROOM", BOB_ID), **fields)
    assert webex_cloud.requests.find(method="POST", path="/v1/messages") == []


def test_cloud_refuses_markdown_with_html(alice: Webex) -> None:
    room = str(alice.rooms.create(title="A room").id)
    with pytest.raises(BadRequestError, match="not both"):
        alice.request("POST", "/messages", json={"roomId": room, "markdown": "a", "html": "a"})
