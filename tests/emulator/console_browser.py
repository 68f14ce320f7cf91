"""A browser that opened the console, over plain requests."""

from __future__ import annotations

from typing import Any

from tests.emulator.helpers import Answer, fetch
from webex.emulator import Cloud

SEED = {
    "rooms": [
        {
            "title": "Launch <b>& co</b>",
            "by": "alice",
            "members": ["bob", "bot"],
            "messages": [{"by": "alice", "markdown": "Hello **Bob**"}, {"by": "bob", "text": "plain"}],
        }
    ]
}
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Browser:
    """A browser that opened the console."""

    def __init__(self, cloud: Cloud, url: str | None = None) -> None:
        self.cloud = cloud
        self.opened = fetch(url or cloud.console_url)
        self.cookie = self.opened.headers.get("set-cookie", "").partition(";")[0]

    def get(self, path: str, **headers: str) -> Answer:
        return fetch(self.cloud.url + path, headers={"cookie": self.cookie, **_names(headers)})

    def view(self, name: str) -> Any:
        answer = self.get(f"/_console/api/{name}")
        assert answer.status == 200, answer.text
        return answer.json()

    def post(self, action: str, body: Any = None, **headers: str) -> Answer:
        given = {"cookie": self.cookie, "origin": self.cloud.url, **_names(headers)}
        given = {name: value for name, value in given.items() if value}
        return fetch(f"{self.cloud.url}/_console/api/{action}", "POST", json_body=body or {}, headers=given)

    def act(self, action: str, **body: Any) -> Any:
        answer = self.post(action, body)
        assert answer.status == 200, answer.text
        return answer.json()["result"]


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
