"""The html of a message: what is kept of it, whatever was sent."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from tests.emulator.helpers import fetch
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
        self.found.append((tag, attrs))


@pytest.mark.parametrize(
    ("html", "tags", "text"),
    [
        ("<<foo>script>alert(1)<<foo>/script>", [], "<script>alert(1)</script>"),
        ("<<script>img src=x onerror=alert(1)>", [], "<img src=x onerror=alert(1)>"),
        ("cut off <img src=x onerror=alert(1) ", [], "cut off <img src=x onerror=alert(1)"),
        ("<b>1 < 2</b> &lt;i&gt;", [("b", [])], "1 < 2 <i>"),
        ("<b onclick='alert(1)'>bold</b><script>x</script>", [("b", [])], "boldx"),
    ],
    ids=["made by removing", "picture made by removing", "cut off", "less than", "attribute"],
)
def test_stored_html_has_only_supported_tags(
    webex_cloud: Cloud, html: str, tags: list[tuple[str, list[Any]]], text: str
) -> None:
    room = fetch(f"{webex_cloud.url}/v1/rooms", json_body={"title": "Html"}, token=ALICE_TOKEN).json()
    body = {"roomId": room["id"], "html": html}
    sent = fetch(f"{webex_cloud.url}/v1/messages", json_body=body, token=ALICE_TOKEN).json()
    read = Tags()
    read.feed(sent["html"] + ">")  # a page goes on after it: that must not complete a tag
    assert read.found == tags
    assert sent["text"] == text
