"""`webexpythonsdk` as its guides use it, in an environment of its own.

Commands come as lines of JSON on standard input: {"do": NAME, ...}; each is answered with one line.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import requests
from webexpythonsdk import ApiError, WebexAPI

BASE = os.environ["BASE"] + "/v1/"


class Commands:
    api: WebexAPI
    refresh_token: str
    app: dict[str, str]

    def with_token(self, token: str) -> dict[str, Any]:
        self.api = WebexAPI(access_token=token, base_url=BASE)
        return {}

    def sign_in(self, code: str, client_id: str, client_secret: str, redirect_uri: str) -> dict[str, Any]:
        """With a code, as its constructor offers it."""
        self.api = WebexAPI(
            base_url=BASE,
            client_id=client_id,
            client_secret=client_secret,
            oauth_code=code,
            redirect_uri=redirect_uri,
        )
        return {}

    def exchange(self, token: str, code: str, client_id: str, client_secret: str, redirect_uri: str) -> dict[str, Any]:
        """The same by its access token API, which also shows what came back."""
        api = WebexAPI(access_token=token, base_url=BASE)
        got = api.access_tokens.get(client_id, client_secret, code, redirect_uri)
        again = api.access_tokens.refresh(client_id, client_secret, got.refresh_token)
        self.api = WebexAPI(access_token=again.access_token, base_url=BASE)
        return {"expires_in": got.expires_in, "changed": again.access_token != got.access_token}

    def me(self) -> dict[str, Any]:
        return self.api.people.me().json_data

    def create_room(self, title: str) -> dict[str, Any]:
        return self.api.rooms.create(title).json_data

    def get_room(self, id: str) -> dict[str, Any]:
        return self.api.rooms.get(id).json_data

    def rename_room(self, id: str, title: str) -> dict[str, Any]:
        return self.api.rooms.update(id, title).json_data

    def remove_room(self, id: str) -> dict[str, Any]:
        self.api.rooms.delete(id)
        return {}

    def list_rooms(self, max: int) -> dict[str, Any]:
        return {"items": [room.json_data for room in self.api.rooms.list(max=max)]}

    def add(self, roomId: str, personEmail: str) -> dict[str, Any]:
        return self.api.memberships.create(roomId=roomId, personEmail=personEmail).json_data

    def members(self, roomId: str, max: int) -> dict[str, Any]:
        return {"items": [each.json_data for each in self.api.memberships.list(roomId=roomId, max=max)]}

    def send(self, **message: Any) -> dict[str, Any]:
        return self.api.messages.create(**message).json_data

    def messages(self, roomId: str, max: int) -> dict[str, Any]:
        return {"items": [each.json_data for each in self.api.messages.list(roomId=roomId, max=max)]}

    def remove_message(self, id: str) -> dict[str, Any]:
        self.api.messages.delete(id)
        return {}

    def upload(self, roomId: str, text: str, path: str) -> dict[str, Any]:
        return self.api.messages.create(roomId=roomId, text=text, files=[path]).json_data

    def download(self, url: str) -> dict[str, Any]:
        import base64

        answer = requests.get(url, headers={"Authorization": f"Bearer {self.api.access_token}"}, timeout=10)
        answer.raise_for_status()
        return {"base64": base64.b64encode(answer.content).decode()}

    def create_webhook(self, **webhook: Any) -> dict[str, Any]:
        return self.api.webhooks.create(**webhook).json_data

    def list_webhooks(self) -> dict[str, Any]:
        return {"items": [each.json_data for each in self.api.webhooks.list()]}

    def update_webhook(self, id: str, **changes: Any) -> dict[str, Any]:
        return self.api.webhooks.update(id, **changes).json_data

    def remove_webhook(self, id: str) -> dict[str, Any]:
        self.api.webhooks.delete(id)
        return {}


def main() -> None:
    commands = Commands()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer: dict[str, Any] = {"result": getattr(commands, asked.pop("do"))(**asked)}
        except ApiError as error:
            answer = {"error": {"name": "ApiError", "status": error.status_code, "text": str(error)[:300]}}
        except Exception as error:
            answer = {"error": {"name": type(error).__name__, "status": None, "text": str(error)[:300]}}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
