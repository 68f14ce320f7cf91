"""What type checkers know of the public names: read by `test_typed_blocks.py`, never run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import assert_never, assert_type

from webex import AsyncWebex, Webex
from webex.models import AttachmentAction, Membership, Message, Room
from webex.realtime import (
    Event,
    Gap,
    RealtimeAttachmentActionEvent,
    RealtimeEvent,
    RealtimeGapEvent,
    RealtimeHub,
    RealtimeMembershipEvent,
    RealtimeMessageEvent,
    RealtimeOtherEvent,
    RealtimePresenceEvent,
    RealtimeReactionEvent,
    RealtimeRoomEvent,
    RealtimeTypingEvent,
    Typing,
)


async def resource_narrows_data(client: AsyncWebex, hub: RealtimeHub) -> None:
    async for event in client.listen(["messages", "rooms", "typing"]):
        assert_type(event, RealtimeEvent)
        if event.resource == "messages":
            assert_type(event, RealtimeMessageEvent)
            assert_type(event.data, Message)
        match event.resource:
            case "messages":
                assert_type(event.data, Message)
            case "rooms":
                assert_type(event.data, Room)
            case "memberships":
                assert_type(event.data, Membership)
            case "attachmentActions":
                assert_type(event.data, AttachmentAction)
            case "typing":
                assert_type(event.data, Typing)
            case "gap":
                assert_type(event.data, Gap)
    async for event in hub.events():
        assert_type(event, RealtimeEvent)


def kind_narrows_data(client: Webex) -> None:
    for event in client.listen():
        match event:
            case RealtimeMessageEvent(event="created", data=message):
                assert_type(message, Message)
            case RealtimeMessageEvent() | RealtimeTypingEvent() | RealtimeGapEvent():
                pass
            case RealtimeReactionEvent() | RealtimePresenceEvent() | RealtimeOtherEvent():
                pass
            case RealtimeRoomEvent(data=room):
                assert_type(room, Room)
            case RealtimeMembershipEvent(data=membership):
                assert_type(membership, Membership)
            case RealtimeAttachmentActionEvent(data=action):
                assert_type(action, AttachmentAction)
            case _:
                assert_never(event)
        if isinstance(event, RealtimeRoomEvent):
            assert_type(event.data, Room)


async def event_narrows_data(client: AsyncWebex) -> None:
    async for event in client.messages.listen():
        assert_type(event, RealtimeMessageEvent | RealtimeGapEvent)
        if event.event == "created":
            assert_type(event.data, Message)
        general: Event[Message | Gap] = event
        general.ack()
    async for room_event in client.listen("rooms"):
        assert_type(room_event, RealtimeRoomEvent | RealtimeGapEvent)
    message = await client.messages.get("an id")
    assert_type(message.id, str)
    assert_type(message.room_id, str)
    assert_type(message.person_id, str)


async def download_gives_what_its_target_says(client: AsyncWebex, blocking: Webex, url: str) -> None:
    assert_type(await client.files.download(url), bytes)
    assert_type(await client.files.download(url, to="folder"), Path)
    assert_type(await client.files.download(url, to=io.BytesIO()), bytes)
    assert_type(blocking.files.download(url), bytes)
    assert_type(blocking.files.download(url, to=Path("folder")), Path)
