"""Calls that no resource models: their options, their pages, services of the catalog, and answers in pieces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Asked, Said, Script
from webex import AsyncWebex, Webex
from webex.errors import ConfigurationError, DecodeError, FileError, NotFoundError, UnknownArgumentError


@pytest.mark.parametrize(
    ("option", "hint"),
    [("param", "params"), ("parameters", "params"), ("jsn", "json"), ("streaming", ""), ("data", ""), ("verify", "")],
)
@pytest.mark.parametrize("pages", [False, True])
def test_unknown_option_is_refused(script: Script, client: Webex, option: str, hint: str, pages: bool) -> None:
    call: Any = client.request_pages if pages else client.request
    with pytest.raises(UnknownArgumentError, match=f"no option '{option}'.*{hint}.*Known: .*params.*service"):
        call("GET", "/rooms", **{option: {}})
    assert script.asked == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "params as text": ({"params": "max=10"}, "^params must be a mapping, not str"),
    "params as list": ({"params": [("max", 10)]}, "^params must be a mapping, not list"),
    "headers as list": ({"headers": [("a", "b")]}, "^headers must be a mapping"),
    "header of a number": ({"headers": {"X-Number": 7}}, r"^headers\['X-Number'\] must be text"),
    "header of two lines": ({"headers": {"X": "a\r\nb: c"}}, r"^headers\['X'\] must be text in one line"),
    "form as text": ({"form": "a=b"}, "^form must be a mapping"),
    "content as text": ({"content": "text"}, "^content must be bytes, not str"),
    "two bodies": ({"json": {}, "form": {}}, "^Give one of json=, form= and content=, not json and form"),
    "content type alone": ({"content_type": "text/plain"}, "^content_type goes with content="),
    "time-out as text": ({"timeout": "5"}, "^timeout must be a number of seconds"),
    "time-out of zero": ({"timeout": 0}, "^timeout must be a number of seconds above 0"),
    "authorization": ({"auth": "secret-token"}, "^auth must be 'token' or 'none'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_option_is_refused(script: Script, client: Webex, what: str) -> None:
    options, message = WRONG[what]
    with pytest.raises(ConfigurationError, match=message) as caught:
        client.request("POST", "/rooms", **options)
    assert script.asked == []
    assert "secret-token" not in str(caught.value)


@pytest.mark.parametrize(("method", "url"), [("", "/rooms"), ("GET /rooms", ""), ("GET", ""), ("GET", None), (7, "/a")])
def test_invalid_method_or_url_is_refused(client: Webex, method: Any, url: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^(method|url) must be"):
        client.request(method, url)


@pytest.mark.parametrize("url", ["http://[::1", "https://[x]/", "https://exa℀mple.com", "https://a.example:99999/"])
def test_url_that_cannot_be_read_is_refused(client: Webex, url: str) -> None:
    for call in (lambda: client.request("GET", url), lambda: client.files.info(url)):
        with pytest.raises(ConfigurationError, match="is no URL"):
            call()
    with pytest.raises(FileError):
        client.messages.create(room_id="R", files=[url])


def _paged(script: Script, count: int, key: str = "items") -> None:
    def answer(asked: Asked) -> Said:
        start, most = int(asked.query.get("cursor", "0")), int(asked.query.get("max", "2"))
        items = [{"id": str(n), "odd": {"n": n}} for n in range(start, min(start + most, count))]
        link = f'<{script.url}/v1/meetings?max={most}&cursor={start + most}>; rel="next"'
        return Said(200, {key: items}, {"link": link} if start + most < count else {})

    script.answer = answer


def test_pages_of_any_call_are_followed(script: Script, client: Webex) -> None:
    _paged(script, 5)

    found = client.request_pages("GET", "/meetings", params={"state": "ended"}, headers={"X-Own": "1"}).to_list()

    assert [item["id"] for item in found] == ["0", "1", "2", "3", "4"]
    assert [asked.query.get("state") for asked in script.asked] == ["ended"] * 3
    assert [asked.headers["x-own"] for asked in script.asked] == ["1"] * 3


def test_pages_of_any_call_in_event_loop_style(script: Script) -> None:
    _paged(script, 3)

    async def main() -> list[dict[str, Any]]:
        async with AsyncWebex("a-token", emulator_url=script.url) as client:
            return [item async for item in client.request_pages("GET", "/meetings", limit=3, page_size=2)]

    assert [item["odd"] for item in asyncio.run(main())] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_items_may_have_another_key(script: Script, client: Webex) -> None:
    _paged(script, 3, key="Resources")

    assert len(client.request_pages("GET", "/meetings", key="Resources").to_list()) == 3
    with pytest.raises(DecodeError, match="no list 'items': key= names another"):
        client.request_pages("GET", "/meetings").to_list()


def _catalog(script: Script) -> Callable[[Asked], Said]:
    def answer(asked: Asked) -> Said:
        if "catalog" in asked.path:
            return Said(200, {"serviceLinks": {"locus": f"{script.url}/locus/api/v1"}, "hostCatalog": {}})
        return Said(200, {"path": asked.path, "token": asked.headers.get("authorization")})

    return answer


def test_service_of_the_catalog_is_reached(script: Script) -> None:
    script.answer = _catalog(script)
    with Webex("a_b_org", emulator_url=script.url) as client:
        answers = [client.request("GET", "/loci", service="locus").json() for _ in range(2)]

    assert answers == [{"path": "/locus/api/v1/loci", "token": "Bearer a_b_org"}] * 2
    assert len([asked for asked in script.asked if "catalog" in asked.path]) == 1


def test_service_is_reached_by_a_token_without_organization(script: Script, client: Webex) -> None:
    script.answer = _catalog(script)
    assert client.request("GET", "/loci", service="locus").json()["path"] == "/locus/api/v1/loci"
    _ = client.request_pages("GET", "/loci", service="locus", key="token")
    with client.request("GET", "/loci", service="locus", stream=True) as answer:
        assert json.loads(answer.read())["path"] == "/locus/api/v1/loci"


def test_unknown_service_names_those_that_are_known(script: Script, client: Webex) -> None:
    script.answer = _catalog(script)
    with pytest.raises(ConfigurationError, match=r"'lokus' is not known\. Known are .*hydra.*locus"):
        client.request("GET", "/loci", service="lokus")


def test_response_is_streamed_in_chunks(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(200, b"x" * 300_000)
    with client.request("GET", "/report", stream=True) as answer:
        assert answer.status == 200
        assert answer.headers["content-length"] == "300000"
        assert sum(len(piece) for piece in answer) == 300_000


def test_response_is_streamed_in_chunks_in_event_loop_style(script: Script) -> None:
    script.answer = lambda asked: Said(200, b"x" * 300_000)

    async def main() -> tuple[int, int]:
        async with AsyncWebex("a-token", emulator_url=script.url) as client:
            async with await client.request("GET", "/report", stream=True) as answer:
                pieces = sum([len(piece) async for piece in answer])
            return pieces, len(await (await client.request("GET", "/report", stream=True)).read())

    assert asyncio.run(main()) == (300_000, 300_000)


def test_refused_stream_raises_the_usual_api_error(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(404, {"message": "none"})
    with pytest.raises(NotFoundError, match="none"):
        client.request("GET", "/report", stream=True)
