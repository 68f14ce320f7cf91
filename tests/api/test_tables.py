"""Models and lists as dicts, JSON, tables and text; lists that are used in a wrong way say the right one."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.api.conftest import Asked, Said, Script
from webex import AsyncWebex, Webex
from webex.errors import ConfigurationError
from webex.models.generated.messaging import Message, Room, Webhook

ID = "Y2lzY29zcGFyazovL3VzL1JPT00vYmJjZWIxYWQtNDNmMS0zYjU4LTkxNDctZjE0YmIwYzRkMTU0"
ROOM = {"id": ID, "title": "T", "created": "2026-01-02T03:04:05.678Z", "isLocked": False, "shoeSize": {"eu": 44}}


def test_model_is_a_mapping_of_received_data() -> None:
    room = Room.from_dict(ROOM)
    assert dict(room) == {**room} == room.to_dict() == ROOM
    assert json.loads(json.dumps(room.to_dict())) == json.loads(room.to_json()) == ROOM
    assert list(room) == list(room.keys()) == list(ROOM)
    assert (room["isLocked"], room["is_locked"], room["shoeSize"]) == (False, False, {"eu": 44})
    assert "is_locked" in room
    assert "isLocked" in room
    assert "team_id" not in room
    with pytest.raises(KeyError, match="teamId"):
        _ = room["team_id"]


def test_created_or_changed_model_is_a_mapping_too() -> None:
    room = Room.from_dict(ROOM)
    room.title = "new"
    room.created = datetime(2027, 1, 1, tzinfo=UTC)
    assert dict(room) == {**ROOM, "title": "new", "created": "2027-01-01T00:00:00Z"}
    assert dict(Room(title="own")) == {"title": "own"}


def test_ids_are_complete_in_every_representation() -> None:
    room, message = Room.from_dict(ROOM), Message(id=ID, room_id=ID, text="x" * 500)
    assert ID in repr(room)
    assert repr(message).count(ID) == 2
    assert len(repr(message)) < 300
    assert ("id", ID) in room.__rich_repr__()
    assert ID in room._repr_html_()


def test_representations_hide_secrets_and_escape_html() -> None:
    hook = Webhook(id="w", name="<script>alert(1)</script>", secret="do-not-tell")
    shown = [repr(hook), repr(hook.__rich_repr__()), hook._repr_html_()]
    assert not any("do-not-tell" in text for text in shown)
    assert "<script>" not in hook._repr_html_()


@pytest.fixture
def rooms(script: Script) -> Script:
    def answer(asked: Asked) -> Said:
        start = int(asked.query.get("cursor", "0"))
        items = [{**ROOM, "id": f"r{n}", "odd": n} for n in (start, start + 1)]
        link = f'<{script.url}/v1/rooms?cursor={start + 2}>; rel="next"'
        return Said(200, {"items": items}, {"link": link} if start < 4 else {})

    script.answer = answer
    return script


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Exception):
        pass

    def array(values: list[Any], kind: str | None = None) -> Any:
        if kind is None and len({type(value) for value in values if value is not None}) > 1:
            raise Odd
        return (kind, values)

    frame = lambda rows, columns: SimpleNamespace(columns=columns, rows=rows)  # noqa: E731  # a stand-in
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=frame))
    arrow = SimpleNamespace(table=dict, array=array, string=lambda: "string", ArrowException=Odd)
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)


@pytest.mark.usefixtures("frames")
def test_list_becomes_a_table_with_a_column_for_each_field(rooms: Script, client: Webex) -> None:
    table = client.rooms.list().to_pandas()
    assert len(table.rows) == 6
    assert table.columns == [*Room.__struct_fields__, "shoeSize", "odd"]
    assert table.rows[1]["id"] == "r1"
    assert table.rows[0]["created"] == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert table.rows[0]["shoeSize"] == {"eu": 44}

    columns = client.rooms.list().to_arrow()
    assert columns["id"] == (None, [f"r{n}" for n in range(6)])
    assert client.request_pages("GET", "/rooms").to_pandas().columns == [*ROOM, "odd"]


@pytest.mark.usefixtures("frames")
def test_column_of_several_types_is_text_in_arrow(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(200, {"items": [{"odd": 1}, {"odd": "two"}, {"odd": [3]}, {}]})
    assert client.rooms.list().to_arrow()["odd"] == ("string", ["1", "two", "[3]", None])


@pytest.mark.usefixtures("frames")
def test_list_becomes_a_table_in_event_loop_style(rooms: Script) -> None:
    async def main() -> tuple[Any, Any]:
        async with AsyncWebex("a-token", emulator_url=rooms.url) as client:
            return await client.rooms.list(limit=3).to_pandas(), await client.rooms.list().to_arrow()

    table, columns = asyncio.run(main())
    assert len(table.rows) == 3
    assert len(columns["title"][1]) == 6


@pytest.mark.parametrize(("method", "library"), [("to_pandas", "pandas"), ("to_arrow", "pyarrow")])
def test_missing_library_names_itself(
    rooms: Script, client: Webex, monkeypatch: pytest.MonkeyPatch, method: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=rf"{method}\(\) needs {library}: pip install {library}"):
        getattr(client.rooms.list(), method)()


async def _async_for(pages: Any) -> None:
    async for _ in pages:
        pass


async def _await(pages: Any) -> None:
    await pages


def _pages(kind: type[Any], script: Script) -> Any:
    return kind("a-token", emulator_url=script.url).rooms.list()


ASYNC = r"`async for item in pages`, `await pages\.to_list\(\)` or `await pages\.first_page\(\)`"
BLOCKING = r"`for item in pages`, `pages\.to_list\(\)` or `pages\.first_page\(\)`"
WAYS: dict[str, Any] = {
    "len": len,
    "index": lambda pages: pages[0],
    "slice": lambda pages: pages[:2],
    "next": next,
    "await": lambda pages: asyncio.run(_await(pages)),
}


@pytest.mark.parametrize("way", [*WAYS, "for", "list", "in", "unpacked"])
def test_misused_list_in_event_loop_style_explains_the_correct_use(script: Script, way: str) -> None:
    ways = {
        **WAYS,
        "for": lambda pages: [item for item in pages],  # noqa: C416  # what people write
        "list": list,
        "in": lambda pages: 1 in pages,
        "unpacked": lambda pages: [*pages],
    }
    with pytest.raises(TypeError, match=ASYNC):
        ways[way](_pages(AsyncWebex, script))
    assert script.asked == []


@pytest.mark.parametrize("way", [*WAYS, "async for"])
def test_misused_list_in_blocking_style_explains_the_correct_use(script: Script, way: str) -> None:
    ways = {**WAYS, "async for": lambda pages: asyncio.run(_async_for(pages))}
    with pytest.raises(TypeError, match=BLOCKING):
        ways[way](_pages(Webex, script))
    assert script.asked == []


@pytest.mark.parametrize("name", ["items", "data", "next", "has_next", "length"])
def test_missing_list_attribute_explains_the_correct_use(client: Webex, name: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; use {BLOCKING}"):
        getattr(client.rooms.list(), name)


def test_repr_of_a_list_fetches_nothing(script: Script, client: Webex) -> None:
    assert repr(client.rooms.list()).startswith("<Pages of Room, GET /rooms; use `for item in pages`")
    assert client.rooms.list()
    assert script.asked == []


def test_list_resumes_from_a_cursor(rooms: Script, client: Webex) -> None:
    page = client.rooms.list(page_size=2).first_page()
    assert [room.id for room in client.rooms.list(after=page.cursor)] == ["r2", "r3", "r4", "r5"]
    assert [room.id for room in client.rooms.list(after="4")] == ["r4", "r5"]
    assert [page.cursor for page in client.rooms.list().pages()][-1] is None
    assert (page[1].id, len(page)) == ("r1", 2)
    assert "r0" in page._repr_html_()


def test_page_that_a_limit_cut_has_no_cursor(rooms: Script, client: Webex) -> None:
    assert client.rooms.list(limit=2).first_page().cursor is not None
    with pytest.raises(ConfigurationError, match="limit= cut this page"):
        _ = client.rooms.list(limit=1).first_page().cursor


@pytest.mark.parametrize("after", ["", 7, "https://evil.example.com/v1/rooms?cursor=1", "{url}/v1/people?cursor=2"])
def test_cursor_of_another_list_is_refused(script: Script, client: Webex, after: Any) -> None:
    given = after.replace("{url}", script.url) if isinstance(after, str) else after
    with pytest.raises(ConfigurationError, match=r"^after must be the cursor of a page"):
        client.rooms.list(after=given)
