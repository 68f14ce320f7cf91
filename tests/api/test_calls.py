"""What a call puts on the wire, what comes back, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import webex.api
from tests.api.conftest import Asked, Said, Script
from webex import AsyncWebex, ConfigurationError, NotFoundError, Webex
from webex.errors import DecodeError, FileError
from webex.ids import to_hydra_id, to_uuid

PAIRS = sorted(name for name in webex.api.__all__ if f"Async{name}" in webex.api.__all__)


@pytest.mark.parametrize("name", PAIRS)
def test_both_styles_have_the_same_methods_with_the_same_arguments(name: str) -> None:
    blocking, other = getattr(webex.api, name), getattr(webex.api, f"Async{name}")
    for method, function in inspect.getmembers(blocking, inspect.isfunction):
        if method.startswith("_") and method != "__iter__":
            continue
        if method == "__iter__":
            assert hasattr(other, "__aiter__")
            continue
        assert list(inspect.signature(function).parameters) == list(
            inspect.signature(getattr(other, method)).parameters
        )


def test_ids_are_percent_encoded_in_paths(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(body={"id": "x"})
    client.rooms.get("a/b?c#d é")
    assert script.asked[0].path == "/v1/rooms/a%2Fb%3Fc%23d%20%C3%A9"


@pytest.mark.parametrize("wrong", ["", ".", "..", None, 5])
def test_an_id_that_changes_the_path_is_refused(script: Script, client: Webex, wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        client.rooms.delete(wrong)
    assert script.asked == []


def test_omitted_arguments_are_not_sent_and_none_is_null(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(body={})
    client.rooms.update("R1", title="T", team_id=None)
    assert json.loads(script.asked[0].body) == {"title": "T", "teamId": None}


def test_moments_are_sent_as_utc(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(body={"items": []})
    client.rooms.list(
        from_=datetime(2024, 1, 1, 12), to=datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    ).to_list()
    assert script.asked[0].query == {"from": "2024-01-01T12:00:00.000Z", "to": "2024-01-01T10:00:00.000Z"}
    assert datetime(2024, 1, 1, 12, tzinfo=UTC) != datetime(2024, 1, 1, 10, tzinfo=UTC)


def test_an_answer_without_content_is_none(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(204)
    assert client.rooms.delete("R1") is None  # type: ignore[func-returns-value]  # that is what is tested
    assert client.people.update("P1", display_name="x") is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id": "cut off'])
def test_a_response_of_the_wrong_shape_is_a_decode_error(script: Script, client: Webex, body: bytes) -> None:
    script.answer = lambda asked: Said(body=body)
    with pytest.raises(DecodeError):
        client.rooms.get("R1")


def test_the_answer_can_be_seen_beside_the_model(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(body={"id": "R1"}, headers={"trackingid": "T-1", "x-own": "1"})
    raw = client.with_raw_response(client.rooms.get, "R1")
    assert (raw.model.id, raw.status, raw.headers["x-own"], raw.tracking_id) == ("R1", 200, "1", "T-1")

    async def main() -> str | None:
        async with AsyncWebex("a-token", emulator_url=script.url) as other:
            answer = await other.with_raw_response(other.rooms.get, "R1")
            return answer.model.id

    assert asyncio.run(main()) == "R1"


def test_the_answer_of_a_page_can_be_seen(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(body={"items": [{"id": "R1"}]}, headers={"x-own": "1"})
    raw = client.with_raw_response(client.rooms.list(team_id="T1").first_page)
    assert ([room.id for room in raw.model], raw.headers["x-own"]) == (["R1"], "1")

    async def main() -> str:
        async with AsyncWebex("a-token", emulator_url=script.url) as other:
            answer = await other.with_raw_response(other.rooms.list(team_id="T1").first_page)
            return answer.headers["x-own"]

    assert asyncio.run(main()) == "1"


def test_a_list_has_no_response_in_either_style(script: Script, client: Webex) -> None:
    with pytest.raises(ConfigurationError, match="first_page"):
        client.with_raw_response(client.rooms.list)
    with pytest.raises(ConfigurationError):
        client.with_raw_response(len, [])  # type: ignore[arg-type]  # no method of a resource

    async def main() -> None:
        async with AsyncWebex("a-token", emulator_url=script.url) as other:
            with pytest.raises(ConfigurationError, match="first_page"):
                await other.with_raw_response(other.rooms.list)  # type: ignore[arg-type]  # not awaitable

    asyncio.run(main())


def test_errors_are_those_of_the_status(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(404, {"message": "No such room", "trackingId": "T-9"})
    with pytest.raises(NotFoundError, match="No such room"):
        client.rooms.get("R1")


# Messages


def sent(asked: Asked) -> Said:
    return Said(body={"id": "M1"})


@pytest.mark.parametrize("target", [{}, {"room_id": "R", "to_person_id": "P"}])
def test_a_message_has_exactly_one_destination(script: Script, client: Webex, target: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="exactly one"):
        client.messages.create(text="x", **target)
    assert script.asked == []


@pytest.mark.parametrize("kind", ["text", "markdown"])
def test_an_overlong_text_is_refused_before_sending(script: Script, client: Webex, kind: str) -> None:
    with pytest.raises(ConfigurationError, match="create_long"):
        client.messages.create(room_id="R", **{kind: "é" * 3720})
    assert script.asked == []


def test_a_long_text_is_split(script: Script, client: Webex) -> None:
    script.answer = sent
    text = "word " * 4000
    assert len(client.messages.create_long(room_id="R", markdown=text)) == 3
    assert "".join(json.loads(asked.body)["markdown"] for asked in script.asked) == text


def test_a_fallback_text_longer_than_its_markdown_is_refused(script: Script, client: Webex) -> None:
    with pytest.raises(ConfigurationError, match="stands in"):
        client.messages.create_long(room_id="R", markdown="short", text="x" * 8000)
    assert script.asked == []


def test_files_are_sent_from_anywhere(script: Script, client: Webex, tmp_path: Path) -> None:
    script.answer = sent
    path = tmp_path / "photo.png"
    path.write_bytes(b"bytes of it")
    for files in (
        path,
        str(path),
        [path],
        ("photo.png", b"bytes of it"),
        ("photo.png", io.BytesIO(b"bytes of it")),
        ("photo.png", iter([b"bytes ", b"of it"])),
    ):
        client.messages.create(room_id="R", text="see", files=files)
        body = script.asked[-1].body if script.asked[-1].body else b""
        if "content-length" in script.asked[-1].headers:
            assert b'name="files"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\nbytes of it\r\n' in body
            assert b'name="roomId"\r\n\r\nR\r\n' in body
    assert len(script.asked) == 6


def test_a_url_is_sent_unchanged(script: Script, client: Webex) -> None:
    script.answer = sent
    client.messages.create(room_id="R", files="https://example.com/a.png")
    assert json.loads(script.asked[0].body) == {"roomId": "R", "files": ["https://example.com/a.png"]}


def test_an_unreadable_file_is_refused_before_sending(script: Script, client: Webex, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(100 * 1024 * 1024 + 1)
    for files in (large, tmp_path, tmp_path / "absent", io.StringIO("text"), [b"one", b"two"], 5):
        with pytest.raises(FileError):
            client.messages.create(room_id="R", files=files)
    assert script.asked == []


def test_upload_progress_reaches_the_total(script: Script, client: Webex) -> None:
    script.answer = sent
    heard: list[tuple[int, int | None]] = []
    client.messages.create(room_id="R", files=("a", b"x" * 600_000), on_progress=lambda *now: heard.append(now))
    assert heard[-1][0] == heard[-1][1]
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


CARD: dict[str, Any] = {"type": "AdaptiveCard", "version": "1.3", "body": []}


def test_a_card_is_sent_in_its_envelope(script: Script, client: Webex) -> None:
    script.answer = sent
    client.messages.create(room_id="R", text="fallback", card=CARD)
    assert json.loads(script.asked[0].body)["attachments"] == [
        {"contentType": "application/vnd.microsoft.card.adaptive", "content": CARD}
    ]


@pytest.mark.parametrize(
    "card",
    [{}, {**CARD, "version": "1.4"}, {**CARD, "version": "x"}, {**CARD, "body": ["x" * 23_000]}, {"contentType": "x"}],
)
def test_an_unsupported_card_is_refused(script: Script, client: Webex, card: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        client.messages.create(room_id="R", card=card)
    assert script.asked == []


# People


def test_many_people_are_fetched_85_per_call_in_order(script: Script, client: Webex) -> None:
    ids = [to_hydra_id("PEOPLE", f"00000000-0000-4000-8000-{number:012d}") for number in range(100)]

    def answer(asked: Asked) -> Said:
        wanted = asked.query["id"].split(",")
        assert len(wanted) <= 85
        found = [{"id": person} for person in reversed(wanted) if person != ids[3]]
        return Said(body={"items": found, "notFoundIds": [ids[3]]})

    script.answer = answer
    given = [*ids, to_uuid(ids[7]).upper(), ids[7]]
    people = client.people.get_many(given)
    assert [person and person.id for person in people] == [*ids[:3], None, *ids[4:], ids[7], ids[7]]
    assert len(script.asked) == 2


def test_a_person_of_another_cluster_is_requested_by_the_given_id(script: Script, client: Webex) -> None:
    far = to_hydra_id("PEOPLE", "00000000-0000-4000-8000-000000000001", cluster="urn:TEAM:eu-central-1_k")
    script.answer = lambda asked: Said(body={"items": [{"id": asked.query["id"]}]})
    (person,) = client.people.get_many([far])
    assert script.asked[0].query["id"] == far
    assert person is not None
    assert person.id == far


def test_a_single_id_is_not_read_as_a_sequence(client: Webex) -> None:
    with pytest.raises(ConfigurationError):
        client.people.get_many("abc")
