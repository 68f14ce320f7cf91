"""`webex-message-handler` as its guide uses it: what it tells of messages, files, cards, rooms and members, over TLS.

Nothing of it is changed. Its hosts are fixed, so every name of this process is the emulator. What it is to tell of is
done with plain requests.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from typing import Any

from checks import equal, resolve_all_names, step, tell

resolve_all_names()

from webex_message_handler import WebexMessageHandler, WebexMessageHandlerConfig  # noqa: E402

PATIENCE = 30
EVENTS = (
    "message:created",
    "message:updated",
    "message:deleted",
    "membership:created",
    "attachmentAction:created",
    "room:updated",
)
CARD = {
    "contentType": "application/vnd.microsoft.card.adaptive",
    "content": {"type": "AdaptiveCard", "version": "1.2", "body": [{"type": "Input.Text", "id": "name"}]},
}


def ask(who: str, method: str, path: str, body: Any = None) -> Any:
    """One request of somebody."""
    headers = {"authorization": f"Bearer {os.environ[who]}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"https://webexapis.com/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


async def asked(*arguments: Any) -> Any:
    return await asyncio.to_thread(ask, *arguments)


class Story:
    """Bob listens; Alice acts."""

    def __init__(self) -> None:
        self.handler = WebexMessageHandler(WebexMessageHandlerConfig(token=os.environ["BOB"]))
        self.came: dict[str, asyncio.Queue[Any]] = {name: asyncio.Queue() for name in (*EVENTS, "connected", "error")}
        for name, queue in self.came.items():
            self.handler.on(name)(lambda *given, queue=queue: queue.put_nowait(given[0] if given else None))
        self.room: dict[str, Any] = {}
        self.message: dict[str, Any] = {}

    async def told(self, name: str) -> Any:
        return await asyncio.wait_for(self.came[name].get(), PATIENCE)

    async def connecting(self) -> None:
        await self.handler.connect()
        equal(self.handler.connected, True)
        await self.told("connected")

    async def members(self) -> None:
        self.room = await asked("ALICE", "POST", "/rooms", {"title": "A room"})
        member = {"roomId": self.room["id"], "personEmail": "bob@example.com"}
        await asked("ALICE", "POST", "/memberships", member)
        joined = await self.told("membership:created")
        equal(joined.action, "add")

    async def messages(self) -> None:
        where = {"roomId": self.room["id"]}
        markdown = "<@personEmail:bob@example.com|Bob>, **hello**"
        self.message = await asked("ALICE", "POST", "/messages", {**where, "markdown": markdown})
        heard = await self.told("message:created")
        equal((heard.text, heard.person_email), ("Bob, hello", "alice@example.com"))
        equal(("<strong>hello</strong>" in heard.html, len(heard.mentioned_people)), (True, 1))
        answer = {**where, "text": "An answer", "parentId": self.message["id"]}
        await asked("ALICE", "POST", "/messages", answer)
        equal((await self.told("message:created")).parent_id, heard.id)
        gone = await asked("ALICE", "POST", "/messages", {**where, "text": "Gone soon"})
        spoken = await self.told("message:created")
        await asked("ALICE", "DELETE", f"/messages/{gone['id']}")
        equal((await self.told("message:deleted")).message_id, spoken.id)
        await asked("ALICE", "POST", "/messages", {"toPersonEmail": "bob@example.com", "text": "Psst"})
        direct = await self.told("message:created")
        equal((direct.text, direct.room_type), ("Psst", "direct"))

    async def rooms(self) -> None:
        await asked("ALICE", "PUT", f"/rooms/{self.room['id']}", {"title": "Our room"})
        equal((await self.told("room:updated")).action, "updated")

    async def cards(self) -> None:
        card = {"roomId": self.room["id"], "text": "A card", "attachments": [CARD]}
        sent = await asked("BOB", "POST", "/messages", card)
        action = {"type": "submit", "messageId": sent["id"], "inputs": {"name": "Alice"}}
        await asked("ALICE", "POST", "/attachment/actions", action)
        done = await self.told("attachmentAction:created")
        equal((done.inputs, done.person_email), ({"name": "Alice"}, "alice@example.com"))

    async def the_end(self) -> None:
        await self.handler.disconnect()
        equal((self.handler.connected, self.came["error"].qsize()), (False, 0))


def main() -> None:
    runner = asyncio.Runner()
    story = runner.run(_make())
    for each in (story.connecting, story.members, story.messages, story.rooms, story.cards, story.the_end):

        def run(each: Any = each) -> None:
            runner.run(each())

        run.__name__ = each.__name__
        step(run)
    tell("webex-message-handler")


async def _make() -> Story:
    return Story()


main()
