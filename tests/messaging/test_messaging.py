"""The messaging API, as its users call it, with the cloud's rules."""

from __future__ import annotations

import asyncio
import hashlib
import io
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from webex import AsyncWebex, ConfigurationError, NotFoundError, PermissionDeniedError, Webex
from webex.errors import BadRequestError, ConflictError, FileError, GoneError, PreconditionRequiredError, RedirectError
from webex.webhooks import verify

if TYPE_CHECKING:
    from webex.emulator import Cloud


def test_both_styles_have_the_same_calls(cloud: Cloud, alice: Webex) -> None:
    room = alice.rooms.create(title="Both")
    assert room.id is not None
    alice.messages.create(room_id=room.id, markdown="**one**")

    async def main() -> list[str | None]:
        async with AsyncWebex(cloud.token_for("alice")) as client:
            await client.messages.create(room_id=str(room.id), text="two")
            return [message.text async for message in client.messages.list(room_id=str(room.id))]

    assert asyncio.run(main()) == ["two", "one"]


def test_lists_are_lazy_and_keep_to_the_limit(cloud: Cloud, alice: Webex) -> None:
    room = alice.rooms.create(title="Many")
    for number in range(7):
        alice.messages.create(room_id=str(room.id), text=str(number))
    cloud.requests.clear()
    listed = alice.messages.list(room_id=str(room.id), page_size=2)
    assert [message.text for message in listed] == list("6543210")
    assert cloud.requests.count(path="/v1/messages") == 4
    assert [message.text for message in alice.messages.list(room_id=str(room.id), limit=3)] == list("654")
    assert [len(page) for page in listed.pages()] == [2, 2, 2, 1]
    assert len(listed.first_page()) == 2


@pytest.mark.parametrize("how", ["filters", "null"])
def test_broken_next_links_are_repaired(cloud: Cloud, alice: Webex, how: Any) -> None:
    room = alice.rooms.create(title="Broken")
    for number in range(5):
        alice.messages.create(room_id=str(room.id), text=str(number))
    cloud.faults.add("/v1/messages", broken_next=how)
    assert [m.text for m in alice.messages.list(room_id=str(room.id), page_size=2)] == list("43210")


def test_a_next_link_with_a_lookalike_host_is_refused(cloud: Cloud, alice: Webex) -> None:
    room = alice.rooms.create(title="Elsewhere")
    for number in range(5):
        alice.messages.create(room_id=str(room.id), text=str(number))
    cloud.faults.add("/v1/messages", broken_next="elsewhere")
    with pytest.raises(RedirectError):
        alice.messages.list(room_id=str(room.id), page_size=2).to_list()


def test_a_room_of_others_is_not_found(alice: Webex, bob: Webex) -> None:
    room = alice.rooms.create(title="Private")
    with pytest.raises(NotFoundError):
        bob.rooms.get(str(room.id))
    with pytest.raises(NotFoundError):
        bob.messages.create(room_id=str(room.id), text="let me in")


def test_locked_rooms_are_for_moderators(alice: Webex, bob: Webex) -> None:
    room = alice.rooms.create(title="Locked", is_locked=True)
    alice.memberships.create(room_id=str(room.id), person_email="bob@example.com")
    with pytest.raises(PermissionDeniedError):
        bob.rooms.update(str(room.id), title="Mine")
    with pytest.raises(ConflictError):
        alice.memberships.create(room_id=str(room.id), person_email="bob@example.com")


def test_a_bot_sees_only_its_mentions_in_a_group(alice: Webex, bot: Webex) -> None:
    me = bot.people.me()
    room = alice.rooms.create(title="With a bot")
    alice.memberships.create(room_id=str(room.id), person_id=str(me.id))
    unheard = alice.messages.create(room_id=str(room.id), text="not for you")
    heard = alice.messages.create(room_id=str(room.id), markdown=f"<@personId:{me.id}> hello")
    with pytest.raises(PermissionDeniedError):
        bot.messages.list(room_id=str(room.id)).to_list()
    found = bot.messages.list(room_id=str(room.id), mentioned_people=["me"]).to_list()
    assert [message.id for message in found] == [heard.id]
    with pytest.raises(NotFoundError):
        bot.messages.get(str(unheard.id))


def test_messages_are_edited_ten_times_and_deleted_by_their_author(alice: Webex, bob: Webex) -> None:
    message = alice.messages.create(to_person_email="bob@example.com", text="0")
    for number in range(10):
        alice.messages.update(str(message.id), room_id=str(message.room_id), text=str(number))
    with pytest.raises(BadRequestError, match="10"):
        alice.messages.update(str(message.id), room_id=str(message.room_id), text="eleven")
    with pytest.raises(PermissionDeniedError):
        bob.messages.delete(str(message.id))
    alice.messages.delete(str(message.id))
    with pytest.raises(NotFoundError):
        alice.messages.get(str(message.id))


def test_files_round_trip_byte_for_byte(alice: Webex, tmp_path: Path) -> None:
    room = alice.rooms.create(title="Files")
    data = bytes(range(256)) * 4000
    path = tmp_path / "grüße.bin"
    path.write_bytes(data)
    progress: list[tuple[int, int | None]] = []
    for given in (path, ("x.bin", data), io.BytesIO(data), ("y.bin", iter([data[:99], data[99:]]))):
        message = alice.messages.create(
            room_id=str(room.id), files=given, text="a file", on_progress=lambda *now: progress.append(now)
        )
        assert message.files is not None
        assert alice.files.download(message.files[0]) == data
    assert progress
    named = alice.messages.create(room_id=str(room.id), files=path)
    assert named.files is not None
    assert alice.files.info(named.files[0]).name == "grüße.bin"
    assert alice.files.info(named.files[0]).size == len(data)
    saved = alice.files.download(named.files[0], to=tmp_path / "saved.bin")
    assert isinstance(saved, Path)
    assert hashlib.sha256(saved.read_bytes()).digest() == hashlib.sha256(data).digest()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["grüße.bin", "saved.bin"]


def test_an_oversized_or_missing_file_is_not_sent(cloud: Cloud, tmp_path: Path) -> None:
    with Webex(cloud.token_for("alice"), max_upload_size=1000) as client:
        room = client.rooms.create(title="Small")
        cloud.requests.clear()
        for wrong in (tmp_path / "missing", tmp_path, ("big.bin", b"x" * 1001), io.StringIO("text"), 7):
            with pytest.raises(FileError):
                client.messages.create(room_id=str(room.id), files=wrong)
        assert cloud.requests.count(status=200) == 0


def test_scan_states_are_waited_for_or_typed_errors(cloud: Cloud, alice: Webex) -> None:
    cloud.set(file_scan_seconds=1)
    message = alice.messages.create(to_person_email="bob@example.com", files=("a.txt", b"a"))
    assert message.files is not None
    url = message.files[0]
    assert alice.files.download(url) == b"a"  # waited as long as the cloud said
    (stored,) = cloud.state.files.values()
    stored.scan = "infected"
    with pytest.raises(GoneError):
        alice.files.download(url)
    stored.scan = "unscannable"
    with pytest.raises(PreconditionRequiredError):
        alice.files.download(url)
    assert alice.files.download(url, allow="unscannable") == b"a"


def test_a_broken_download_is_resumed(cloud: Cloud, alice: Webex) -> None:
    data = bytes(range(256)) * 2000
    message = alice.messages.create(to_person_email="bob@example.com", files=("a.bin", data))
    assert message.files is not None
    cloud.faults.add("/v1/contents/*", method="GET", truncate=True, count=1)
    assert alice.files.download(message.files[0]) == data
    assert cloud.requests.count(path="/v1/contents/*", status=206) == 1


def test_long_markdown_is_split_with_its_code_intact(alice: Webex) -> None:
    room = alice.rooms.create(title="Long")
    text = "intro\n\n" + "word " * 1400 + "\n\n```python\n" + "x = 1\n" * 300 + "```\nend"
    with pytest.raises(ConfigurationError, match="create_long"):
        alice.messages.create(room_id=str(room.id), markdown=text)
    sent = alice.messages.create_long(room_id=str(room.id), markdown=text)
    assert "".join(str(message.markdown) for message in sent) == text


def test_cards_are_checked_sent_and_answered(alice: Webex, bob: Webex) -> None:
    card = {"type": "AdaptiveCard", "version": "1.3", "body": [{"type": "Input.Text", "id": "name"}]}
    for wrong in ({**card, "version": "1.5"}, {**card, "type": "Card"}, {**card, "body": ["x" * 30_000]}):
        with pytest.raises(ConfigurationError):
            alice.messages.create(to_person_email="bob@example.com", text="card", card=wrong)
    message = alice.messages.create(to_person_email="bob@example.com", text="card", card=card)
    action = bob.attachment_actions.create(type="submit", message_id=str(message.id), inputs={"name": "Bob"})
    assert alice.attachment_actions.get(str(action.id)).inputs == {"name": "Bob"}


def test_teams_have_members_and_rooms(alice: Webex, bob: Webex) -> None:
    team = alice.teams.create(name="Crew")
    membership = alice.team_memberships.create(team_id=str(team.id), person_email="bob@example.com")
    assert [found.name for found in bob.teams.list()] == ["Crew"]
    assert [room.title for room in bob.rooms.list(team_id=str(team.id))] == ["Crew"]
    with pytest.raises(PermissionDeniedError):
        bob.teams.update(str(team.id), name="Mine")
    alice.team_memberships.delete(str(membership.id))
    assert bob.teams.list().to_list() == []
    alice.teams.delete(str(team.id))


def test_tabs_and_folders_are_pinned_to_rooms(alice: Webex) -> None:
    room = str(alice.rooms.create(title="Pinned").id)
    tab = alice.room_tabs.create(room_id=room, content_url="https://example.com", display_name="Site")
    assert [found.display_name for found in alice.room_tabs.list(room_id=room)] == ["Site"]
    assert alice.room_tabs.get(str(tab.id)).content_url == "https://example.com"
    alice.room_tabs.delete(str(tab.id))
    folder = alice.ecm_folders.create(
        room_id=room,
        content_url="https://example.com/f",
        display_name="Folder",
        drive_id="d",
        item_id="i",
        default_folder="false",
    )
    assert alice.ecm_folders.list(room_id=room).to_list()[0].id == folder.id


def test_compliance_officers_read_events(cloud: Cloud, alice: Webex) -> None:
    alice.messages.create(to_person_email="bob@example.com", text="seen")
    with Webex(cloud.token_for("compliance")) as officer:
        events = officer.events.list(resource="messages", type="created").to_list()
        assert [event.data["text"] for event in events] == ["seen"]
        assert officer.events.get(str(events[0].id)).resource == "messages"


def test_many_people_in_one_call_in_the_order_given(cloud: Cloud, alice: Webex) -> None:
    ids = [str(cloud.add_person(f"p{number}@example.com").id) for number in range(100)]
    cloud.requests.clear()
    people = alice.people.get_many([*reversed(ids), "00000000-0000-4000-8000-00000000dead"])
    assert [person.emails[0] for person in people[:100] if person and person.emails] == [
        f"p{number}@example.com" for number in reversed(range(100))
    ]
    assert people[100] is None
    assert cloud.requests.count(path="/v1/people*") == 2


def test_webhooks_are_signed_and_deactivated_after_failures(cloud: Cloud, alice: Webex) -> None:
    got: list[tuple[bytes, str]] = []
    status = [200]

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((body, self.headers["X-Spark-Signature"]))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Target)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        hook = alice.webhooks.create(
            name="hook",
            target_url=f"http://127.0.0.1:{server.server_port}/hook",
            resource="messages",
            event="created",
            secret="sesame",
        )
        message = alice.messages.create(to_person_email="bob@example.com", text="secret text")
        cloud.settle()
        event = verify(got[0][0], got[0][1], "sesame")
        assert event.resource == "messages"
        assert str(message.id).encode() in got[0][0]
        assert b"secret text" not in got[0][0]
        status[0] = 500
        cloud.set(webhook_retry_delays=(), webhook_failure_limit=2)
        for _ in range(3):
            alice.messages.create(to_person_email="bob@example.com", text="again")
        cloud.settle()
        assert alice.webhooks.get(str(hook.id)).status == "inactive"
        alice.webhooks.update(str(hook.id), name="hook", target_url=str(hook.target_url), status="active")
        assert alice.webhooks.get(str(hook.id)).status == "active"
    finally:
        server.shutdown()
        server.server_close()


def test_a_next_link_to_another_host_is_not_followed(cloud: Cloud, alice: Webex) -> None:
    for number in range(3):
        alice.rooms.create(title=str(number))
    cloud.faults.add("/v1/rooms", headers={"Link": '<https://evil.example/v1/rooms?x=1>; rel="next"'})
    with pytest.raises(RedirectError, match=r"evil\.example"):
        alice.rooms.list(page_size=1).to_list()
