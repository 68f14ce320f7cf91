"""Lists fetch as they go, mend what is broken in a `next` link, and carry no token away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.api.conftest import Asked, Said, Script
from webex import AsyncWebex, ConfigurationError, Webex
from webex.errors import DecodeError, RedirectError, WebexError


def pages_of(
    total: int, size: int, link: Callable[[str], str] = lambda cursor: f"/v1/rooms?cursor={cursor}"
) -> Callable[[Asked], Said]:
    """Answers with rooms 0 … total-1, `max` or `size` a page, and a link that `link` writes."""

    def answer(asked: Asked) -> Said:
        start = int(asked.query.get("cursor", 0))
        stop = min(start + int(asked.query.get("max", size)), total)
        headers = {"link": f'<{link(str(stop))}>; rel="next"'} if stop < total else {}
        return Said(body={"items": [{"id": str(number)} for number in range(start, stop)]}, headers=headers)

    return answer


def test_all_pages_are_iterated_in_both_styles(script: Script, client: Webex) -> None:
    script.answer = pages_of(7, 3)
    wanted = [str(number) for number in range(7)]
    assert [room.id for room in client.rooms.list()] == wanted

    async def main() -> list[str | None]:
        async with AsyncWebex("a-token", emulator_url=script.url) as other:
            return [room.id async for room in other.rooms.list()]

    assert asyncio.run(main()) == wanted


def test_pages_are_fetched_lazily(script: Script, client: Webex) -> None:
    script.answer = pages_of(9, 3)
    listed = client.rooms.list()
    assert script.asked == []
    for room in listed:
        if room.id == "2":
            break
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("limit", "page_size", "calls"), [(0, None, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (99, 3, 3), (2, 50, 1)]
)
def test_a_limit_is_met_with_as_few_calls_as_possible(
    script: Script, client: Webex, limit: int, page_size: int | None, calls: int
) -> None:
    script.answer = pages_of(9, 3)
    assert len(client.rooms.list(limit=limit, page_size=page_size).to_list()) == min(limit, 9)
    assert len(script.asked) == calls


def test_page_size_is_max_on_the_wire_and_limit_is_not(script: Script, client: Webex) -> None:
    script.answer = pages_of(1, 1)
    client.rooms.list(limit=200, page_size=50, team_id="T1").to_list()
    assert script.asked[0].query == {"max": "50", "teamId": "T1"}


@pytest.mark.parametrize(
    "wrong", [{"limit": -1}, {"limit": True}, {"limit": "5"}, {"page_size": 0}, {"page_size": 1.5}]
)
def test_invalid_limits_and_page_sizes_are_refused(client: Webex, wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        client.rooms.list(**wrong)


def test_filters_missing_from_a_next_link_are_restored(script: Script, client: Webex) -> None:
    script.answer = pages_of(4, 2)
    client.rooms.list(team_id="T 1", type="group", page_size=2).to_list()
    assert script.asked[1].query == {"cursor": "2", "teamId": "T 1", "type": "group", "max": "2"}


def test_a_null_parameter_in_a_next_link_is_repaired(script: Script, client: Webex) -> None:
    script.answer = pages_of(4, 2, lambda cursor: f"/v1/rooms?max=null&cursor={cursor}")
    assert len(client.rooms.list(page_size=2).to_list()) == 4
    assert script.asked[1].query["max"] == "2"


def test_a_next_link_is_otherwise_followed_unchanged(script: Script, client: Webex) -> None:
    seen: list[str] = []
    script.answer = pages_of(4, 2, lambda cursor: f"{script.url}/v1/rooms?cursor={cursor}&x=a%2Bb%2Fc&x=two&lost=null")
    with Webex("a-token", emulator_url=script.url) as other:
        pages = list(other.rooms.list(page_size=2).pages())
        seen.append(pages[0].next_url or "")
    assert seen == [f"{script.url}/v1/rooms?cursor=2&x=a%2Bb%2Fc&x=two&max=2"]


@pytest.mark.parametrize("link", ["?cursor=2", "rooms?cursor=2", "/v1/rooms?cursor=2"])
def test_a_relative_next_link_is_resolved_against_its_page(script: Script, client: Webex, link: str) -> None:
    script.answer = lambda asked: Said(
        body={"items": [{"id": asked.query.get("cursor", "0")}]},
        headers={} if "cursor" in asked.query else {"link": f"<{link}>; rel=next"},
    )
    assert [room.id for room in client.rooms.list()] == ["0", "2"]
    assert script.asked[1].path == "/v1/rooms"


@pytest.mark.parametrize(
    "link",
    [
        "https://webexapis.com.evil.example/v1/rooms",
        "https://evilwebex.com/v1/rooms",
        "http://webexapis.com/v1/rooms",
        "https://webexapis.com@evil.example/v1/rooms",
        "//evil.example/v1/rooms",
        "http://127.0.0.1:1/v1/rooms",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_a_next_link_to_a_foreign_host_is_not_followed(script: Script, client: Webex, link: str) -> None:
    script.answer = lambda asked: Said(body={"items": []}, headers={"link": f'<{link}>; rel="next"'})
    with pytest.raises(RedirectError):
        client.rooms.list().to_list()
    assert len(script.asked) == 1


@pytest.mark.parametrize("link", ["https://[broken/v1", "http://127.0.0.1:port/v1", "\\\\evil.example"])
def test_an_invalid_next_link_is_a_webex_error(script: Script, client: Webex, link: str) -> None:
    script.answer = lambda asked: Said(body={"items": []}, headers={"link": f'<{link}>; rel="next"'})
    with pytest.raises(WebexError):
        client.rooms.list().to_list()


def test_a_cycle_of_next_links_ends(script: Script, client: Webex) -> None:
    circle = {"link": '</v1/rooms?cursor=1>; rel="next"'}
    script.answer = lambda asked: Said(body={"items": []}, headers=circle if len(script.asked) < 9 else {})
    with pytest.raises(DecodeError, match="circle"):
        client.rooms.list().to_list()
    assert len(script.asked) == 2


def test_a_list_can_be_iterated_twice_and_by_page(script: Script, client: Webex) -> None:
    script.answer = pages_of(5, 2)
    listed = client.rooms.list()
    assert len(list(listed)) == len(list(listed)) == 5
    assert [len(page) for page in listed.pages()] == [2, 2, 1]
    assert [room.id for room in listed.first_page()] == ["0", "1"]


def test_a_malformed_page_is_a_decode_error(script: Script, client: Webex) -> None:
    for body in (b"", b"[]", b"<html>", b'{"items": 5}'):
        script.answer = lambda asked, body=body: Said(body=body)  # type: ignore[misc]  # bound for this round
        with pytest.raises(DecodeError):
            client.rooms.list().to_list()
