"""The emulator demands what the description of the cloud's API says is required."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from webex.emulator import Cloud

FACTS = Path(__file__).parents[2] / "tools" / "generate" / "facts" / "messaging.json"
_NOT_EMULATED = "/hds/"


def operations(where: str) -> list[tuple[str, str, str]]:
    """Each method and path with the name of one required field of its query or body."""
    return [
        (each["method"], each["path"], field["name"])
        for each in json.loads(FACTS.read_text("utf-8"))["operations"]
        if not each["path"].startswith(_NOT_EMULATED)
        for field in each[where]
        if field.get("required")
    ]


class World:
    """A room, and one of each thing in it; `values` are right ones for the fields of every request."""

    def __init__(self, cloud: Cloud) -> None:
        self._http = httpx.Client(base_url=f"{cloud.url}/v1")
        self._tokens = {who: cloud.token_for(who) for who in ("alice", "bob", "admin")}
        room = self.make("/rooms", title="R")
        team = self.make("/teams", name="T")
        card = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {"type": "AdaptiveCard", "version": "1.3", "body": []},
        }
        with_card = self.make("/messages", roomId=room, text="a card", attachments=[card])
        membership = self.make("/memberships", roomId=room, personEmail="bob@example.com")
        self.values: dict[str, Any] = {
            "type": "submit",
            "messageId": with_card,
            "inputs": {},
            "roomId": room,
            "teamId": team,
            "emails": ["new@example.com"],
            "personEmail": "admin@example.com",
            "contentUrl": "https://example.com",
            "targetUrl": "https://example.com",
            "resource": "rooms",
            "event": "created",
            "isModerator": True,
            "text": "new",
            **dict.fromkeys(("title", "name", "displayName", "driveId", "itemId", "defaultFolder"), "x"),
        }
        folder = {name: self.values[name] for name in ("contentUrl", "displayName", "driveId", "itemId")}
        tab = {"contentUrl": "https://example.com", "displayName": "x"}
        self._ids = {
            "/memberships/{membershipId}": membership,
            "/messages/{messageId}": self.make("/messages", roomId=room, text="one"),
            "/people/{personId}": self.get("/people/me", "bob")["id"],
            "/room/linkedFolders/{id}": self.make("/room/linkedFolders", roomId=room, defaultFolder="false", **folder),
            "/room/tabs/{id}": self.make("/room/tabs", roomId=room, **tab),
            "/rooms/{roomId}": room,
            "/team/memberships/{membershipId}": self.make(
                "/team/memberships", teamId=team, personEmail="bob@example.com"
            ),
            "/teams/{teamId}": team,
            "/webhooks/{webhookId}": self.make(
                "/webhooks", name="x", targetUrl="https://example.com", resource="rooms", event="created"
            ),
        }

    def get(self, path: str, who: str = "alice") -> Any:
        return self._http.get(path, headers=self._as(who)).raise_for_status().json()

    def make(self, path: str, **body: Any) -> str:
        return str(self._http.post(path, json=body, headers=self._as("alice")).raise_for_status().json()["id"])

    def answer(self, method: str, path: str, fields: dict[str, Any]) -> httpx.Response:
        who = "admin" if path.startswith("/people") else "bob" if path.startswith("/attachment") else "alice"
        if "{" in path:
            path = path.partition("{")[0] + self._ids[path]
        content: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        return self._http.request(method, path, headers=self._as(who), **content)

    def _as(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[who]}"}


@pytest.fixture
def world(webex_cloud: Cloud) -> World:
    return World(webex_cloud)


@pytest.mark.parametrize("where", ["query", "body"])
def test_a_request_without_a_required_field_is_refused(world: World, where: str) -> None:
    accepted, wrong = [], []
    for method, path, name in operations(where):
        others = {key: value for key, value in world.values.items() if key != name}
        if method == "GET":
            others = {}
        answer = world.answer(method, path, others)
        if answer.status_code != 400:
            accepted.append(f"{method} {path} without {name}: {answer.status_code}")
        elif not answer.json()["message"]:
            wrong.append(path)
    assert not accepted
    assert not wrong


def test_the_same_requests_with_every_field_are_taken(world: World) -> None:
    refused = []
    for method, path in dict.fromkeys((method, path) for method, path, _ in operations("body")):
        fields = {name: value for name, value in world.values.items() if method == "POST" or name != "emails"}
        answer = world.answer(method, path, fields)
        if answer.status_code != 200:
            refused.append(f"{method} {path}: {answer.status_code} {answer.text}")
    assert not refused


def test_a_membership_is_changed_by_either_of_its_fields(world: World) -> None:
    path = "/memberships/{membershipId}"
    assert world.answer("PUT", path, {"isModerator": True}).json()["isModerator"] is True
    assert world.answer("PUT", path, {"isRoomHidden": False}).status_code == 200
    assert world.answer("PUT", path, {}).status_code == 400
