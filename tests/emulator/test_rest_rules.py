"""Rules of REST that published clients and their test suites rely on, over plain requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest

from tests.emulator.helpers import fetch
from tests.emulator.recorded.requests import CARD, PICTURE, World, worlds
from webex import Webex
from webex.emulator.accounts import ADMIN_TOKEN, ALICE_ID, BOB_ID, BOB_TOKEN, BOT_TOKEN, ORG_ID
from webex.emulator.state import DEVELOPER_APP_ID
from webex.ids import parse_id, to_hydra_id

BOB = "bob@example.com"


@pytest.fixture
def world() -> Iterator[World]:
    with worlds() as made:
        yield made


def verbs(world: World, room: str) -> list[str]:
    state = world.cloud.state
    return [state.activities[each].verb for each in state.room_activities[parse_id(room).id]]


# Files and mentions


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_file_has_its_content_type_by_head_and_get(world: World, method: str) -> None:
    url = world.upload(world.room()).body["files"][0]
    answer = fetch(url, method, token=world.cloud.token_for("alice"))
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(PICTURE))
    assert answer.body == (PICTURE if method == "GET" else b"")


class Files(BaseHTTPRequestHandler):
    """Serves a file, and redirects to it and away."""

    def do_GET(self) -> None:
        target = {"/near": "/file.txt", "/away": "http://example.com/"}.get(self.path)
        self.send_response(200 if target is None else 302)
        self.send_header("location", target or "")
        self.send_header("content-length", "4" if target is None else "0")
        self.end_headers()
        self.wfile.write(b"data" if target is None else b"")

    def log_message(self, *args: Any) -> None: ...


def test_file_is_fetched_from_this_machine_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    room, base = world.room(), f"http://127.0.0.1:{server.server_port}"
    try:
        for path, status in (("/file.txt", 200), ("/near", 200), ("/away", 400)):
            assert world.post("/messages", {"roomId": room, "files": [base + path]}).status == status, path
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
    for url in ("http://[::1", "http://127.0.0.1:abc/", "http://127.0.0.1:99999/", "http://127.0.0.1 /", base):
        answer = world.post("/messages", {"roomId": room, "files": [url]})
        assert (answer.status, answer.body["message"]) == (400, "Unable to retrieve content."), url


def test_upload_makes_no_temporary_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(f"tempfile.{name}", refused)
    data = b"x" * 3_000_000
    with Webex(world.cloud.token_for("alice"), emulator_url=world.cloud.url) as client:
        message = client.messages.create(room_id=world.room(), files=("large.bin", data))
        assert message.files is not None
        assert client.files.download(message.files[0]) == data


def test_mention_in_rest_html_has_public_id(world: World) -> None:
    room = world.room_with(BOB)
    message = world.message(room=room, markdown=f"<@personId:{to_hydra_id('PEOPLE', BOB_ID)}|Bob> hi")
    expected = f'<spark-mention data-object-type="person" data-object-id="{to_hydra_id("PEOPLE", BOB_ID)}">'
    assert expected in message["html"]
    assert world.get(f"/messages/{message['id']}").body["html"] == message["html"]
    assert world.get(f"/messages?roomId={room}").body["items"][0]["html"] == message["html"]


@pytest.mark.parametrize(
    ("markdown", "text", "html"),
    [
        ("a\nb", "a b", "<p>a<br>b</p>"),
        ("a\n\nb", "a b", "<p>a</p><p>b</p>"),
        ("- a\n- **b**", "a b", "<ul><li>a</li><li><strong>b</strong></li></ul>"),
        ("1. a\n2. b", "a b", "<ol><li>a</li><li>b</li></ol>"),
        ("- a\n  - b\n- c", "a b c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
        (
            "```python\nx < **1**\ny\n```",
            "x < **1**\ny",
            '<pre><code class="language-python">x &lt; **1**\ny</code></pre>',
        ),
        ("> a\n> b\n\nc", "a b c", "<blockquote><p>a<br>b</p></blockquote><p>c</p>"),
        (
            "| a | b |\n|---|:-:|\n| 1 | *2* |",
            "a b 1 2",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td><em>2</em></td></tr></tbody></table>",
        ),
        ("# a\nb", "a b", "<h1>a</h1><p>b</p>"),
        ("a `*b*` c", "a *b* c", "<p>a <code>*b*</code> c</p>"),
        ("[a](https://example.com/?b=1&c=2)", "a", '<p><a href="https://example.com/?b=1&amp;c=2">a</a></p>'),
        ("<script>1</script>", "<script>1</script>", "<p>&lt;script&gt;1&lt;/script&gt;</p>"),
        ("\x007\x00", "7", "<p>7</p>"),
        ("# a" + " " * 5000 + "b ##  ", "a b", "<h1>a" + " " * 5000 + "b</h1>"),
        ("snake_case_name 2*3*4", "snake_case_name 234", "<p>snake_case_name 2<em>3</em>4</p>"),
    ],
)
def test_markdown_renders(world: World, markdown: str, text: str, html: str) -> None:
    message = world.message(markdown=markdown)
    assert (message["text"], message["html"]) == (text, html)


def test_page_is_at_most_as_large_as_the_list_allows(world: World) -> None:
    for path in ("/rooms", "/webhooks", f"/messages?roomId={world.room()}"):
        joined = "&" if "?" in path else "?"
        assert world.get(f"{path}{joined}max=100000").status == 200
        assert world.get(f"{path}{joined}max=0").status == 400


def test_token_is_asked_for_before_arguments(world: World) -> None:
    for path in ("/team/memberships", "/messages", "/messages/direct", "/room/tabs"):
        assert world.get(path, token=None).status == 401
        assert world.get(path).status == 400


def test_deep_quotes_render(world: World) -> None:
    assert world.message(markdown=">" * 7000 + "a")["html"].count("<blockquote>") == 8


# App ids and webhooks


def test_bots_and_personal_tokens_share_one_app_id(world: World) -> None:
    for token in (BOT_TOKEN, BOB_TOKEN):
        assert parse_id(world.webhook(token).body["appId"]).id == DEVELOPER_APP_ID


def test_app_id_of_an_integration_is_its_own(world: World) -> None:
    token = world.cloud.token_for("alice", client_id="")
    world.cloud.state.tokens[token].kind, world.cloud.state.tokens[token].client_id = "access", "C123"
    assert parse_id(world.webhook(token).body["appId"]).id == "C123"


@pytest.mark.parametrize(
    ("resource", "filter"),
    [
        ("rooms", "roomId=Y2lzY29zcGFyazovL3VzL1JPT00vMQ"),
        ("messages", "color=red"),
        ("messages", "roomId"),
        ("messages", "roomId="),
        ("messages", "roomType=group&color=red"),
        ("memberships", "hasFiles=true"),
        ("attachmentActions", "mentionedPeople=me"),
        ("all", "roomType=group"),
    ],
)
def test_wrong_filter_is_refused(world: World, resource: str, filter: str) -> None:
    event = "all" if resource == "all" else "created"
    assert world.webhook(resource=resource, filter=filter, event=event).status == 400
    assert world.get("/webhooks", token=BOT_TOKEN).body["items"] == []


@pytest.mark.parametrize(
    ("resource", "filter"),
    [
        ("rooms", "type=group"),
        ("messages", "roomType=direct&hasFiles=true"),
        ("memberships", "isModerator=true"),
        ("meetings", "hostUserId=x"),
        ("telephony_calls", "callType=x"),
    ],
)
def test_right_filter_is_taken(world: World, resource: str, filter: str) -> None:
    assert world.webhook(resource=resource, filter=filter).body["filter"] == filter


# Messages, cards, teams, events


def test_direct_messages_with_an_unknown_person_are_an_error(world: World) -> None:
    answer = world.get(f"/messages/direct?personId={to_hydra_id('PEOPLE', BOB_ID)}")
    assert (answer.status, answer.body["message"]) == (404, "Failed to get one on one conversation")
    world.post("/messages", {"toPersonEmail": BOB, "text": "Hello"})
    assert len(world.get("/messages/direct?personEmail=bob%40example.com").body["items"]) == 1


def test_new_message_names_its_recipient(world: World) -> None:
    for name, value in (("toPersonEmail", BOB), ("toPersonId", to_hydra_id("PEOPLE", BOB_ID))):
        sent = world.post("/messages", {name: value, "text": "Hello"}).body
        assert sent[name] == value
        assert name not in world.get(f"/messages/{sent['id']}").body


def test_team_has_its_creator(world: World) -> None:
    team = world.post("/teams", {"name": "A team"}).body
    assert team["creatorId"] == to_hydra_id("PEOPLE", ALICE_ID)
    assert world.get(f"/teams/{team['id']}").body == team
    assert world.get("/teams").body["items"] == [team]


@pytest.mark.parametrize("content", [{}, {"type": "adaptivecard"}, {"type": 1, "version": "1.3"}])
def test_card_of_another_type_is_refused(world: World, content: dict[str, Any]) -> None:
    answer = world.post("/messages", {"roomId": world.room(), "attachments": [{**CARD, "content": content}]})
    assert (answer.status, answer.body["message"]) == (400, "One (or more) of the arguments is invalid.")


def test_author_of_a_card_may_submit_it_only_if_configured(world: World) -> None:
    card = world.message(text="card", attachments=[CARD])["id"]
    submit = {"type": "submit", "messageId": card, "inputs": {}}
    assert world.post("/attachment/actions", submit).status == 400
    world.cloud.set(card_author_may_submit=True)
    assert world.post("/attachment/actions", submit).status == 200


def test_next_page_of_messages_is_named_by_its_last_message(world: World) -> None:
    room = world.room()
    ids = [world.message(room=room, text=str(number))["id"] for number in range(5)]
    first = world.get(f"/messages?roomId={room}&max=2")
    link = first.headers["link"]
    assert f"beforeMessage={ids[3]}" in link
    assert "cursor" not in link
    world.message(room=room, text="newer")
    world.call("DELETE", f"/messages/{ids[3]}")
    following = world.get(link.partition("/v1")[2].partition(">")[0])
    assert [each["id"] for each in following.body["items"]] == [ids[2], ids[1]]


def test_events_end_at_ninety_days_and_their_links_carry_the_window(world: World) -> None:
    room = world.room()
    for number in range(5):
        world.message(room=room, text=str(number))
    seen, path = [], "/events?resource=messages&max=2"
    while path:
        answer = world.get(path)
        seen += [each["data"]["text"] for each in answer.body["items"]]
        link = answer.headers.get("link", "")
        assert not link or all(f"&{name}=" in link for name in ("cursor", "from", "max", "to"))
        path = link.partition("/v1")[2].partition(">")[0]
        world.message(room=room, text="later")
    assert seen == list("43210")
    now = world.cloud.now()
    for days, status in ((89, 200), (91, 403)):
        assert world.get(f"/events?from={world.cloud.iso(now - days * 86400)}").status == status
    world.cloud.set(events_kept=10 * 86400)
    assert world.get(f"/events?from={world.cloud.iso(now - 11 * 86400)}").status == 403


def test_error_has_an_explanation_besides_the_cloud_text(world: World) -> None:
    body = world.post("/messages", {"roomId": world.room(), "files": ["https://example.com/a.png"]}).body
    assert body["message"] == body["errors"][0]["description"] == "Unable to retrieve content."
    assert "public_file_urls" in body["errors"][1]["description"]


def test_public_file_is_generated_if_configured(world: World) -> None:
    world.cloud.set(public_file_urls="invent")
    url = world.message(files=["https://example.com/pictures/a.png"])["files"][0]
    answer = fetch(url, token=world.cloud.token_for("alice"))
    assert answer.headers["content-type"] == "image/png"
    assert "a.png" in answer.headers["content-disposition"]
    assert answer.body
    assert world.post("/messages", {"roomId": world.room(), "files": ["file:///etc/passwd"]}).status == 400


# Ids


@pytest.mark.parametrize("cluster", ["us", "urn:TEAM:us-west-2_r"])
def test_ids_carry_the_home_cluster(world: World, cluster: str) -> None:
    world.cloud.set(cluster=cluster)
    room = world.room_with(BOB)
    sent = world.upload(room, text="see").body
    team = world.post("/teams", {"name": "A team"}).body
    member = world.get(f"/memberships?roomId={room}").body["items"][0]
    content = sent["files"][0].rpartition("/")[2]
    for public in (room, sent["id"], sent["roomId"], team["id"], member["id"], content):
        assert parse_id(public).cluster == cluster
    for public in (sent["personId"], team["creatorId"], member["personOrgId"]):
        assert parse_id(public).cluster == "us"
    assert world.get(f"/messages/{sent['id']}").status == 200
    catalog = world.get("/u2c/api/v1/catalog?format=hostmap").body["hostCatalog"]
    home = "urn:TEAM:us-east-2_a" if cluster == "us" else cluster
    assert {each["id"] for entries in catalog.values() for each in entries} == {f"{home}:identityLookup"}


def test_rooms_teams_and_messages_have_time_based_uuids(world: World) -> None:
    before = world.cloud.now()
    room = world.room()
    made = [room, world.message(room=room, text="Hello")["id"], world.post("/teams", {"name": "A team"}).body["id"]]
    for public in made:
        value = UUID(parse_id(public).id)
        assert value.version == 1
        assert abs(value.time / 1e7 - 12219292800 - before) < 3600
    assert len(set(made)) == 3


# People, members, moderators


def test_person_can_be_updated_with_its_own_data(world: World) -> None:
    public = to_hydra_id("PEOPLE", BOB_ID)
    person = world.get(f"/people/{public}", token=ADMIN_TOKEN).body
    answer = world.call("PUT", f"/people/{public}", person, token=ADMIN_TOKEN)
    assert (answer.status, answer.body) == (200, person)
    changed = {**person, "title": "Engineer", "nickName": "Bobby", "unheardOf": [1], "emails": ["robert@example.com"]}
    answer = world.call("PUT", f"/people/{public}", changed, token=ADMIN_TOKEN)
    assert (answer.body["title"], answer.body["nickName"]) == ("Engineer", "Bobby")
    assert answer.body["emails"] == ["robert@example.com"]
    assert "unheardOf" not in answer.body
    assert world.get("/people?email=robert%40example.com").status == 200


@pytest.mark.parametrize(
    "field",
    [
        {"roles": "admin"},
        {"phoneNumbers": [1]},
        {"avatar": 3},
        {"loginEnabled": "yes"},
        {"displayName": 3},
        {"emails": "x"},
        {"emails": ["nothing"]},
    ],
)
def test_wrong_person_field_is_refused(world: World, field: dict[str, Any]) -> None:
    public = to_hydra_id("PEOPLE", BOB_ID)
    before = world.get(f"/people/{public}", token=ADMIN_TOKEN).body
    body = {"displayName": "Somebody else", **field}
    assert world.call("PUT", f"/people/{public}", body, token=ADMIN_TOKEN).status == 400
    assert world.get(f"/people/{public}", token=ADMIN_TOKEN).body == before


def test_address_of_another_person_is_refused(world: World) -> None:
    public = to_hydra_id("PEOPLE", BOB_ID)
    body = {"displayName": "Bob", "emails": ["alice@example.com"]}
    assert world.call("PUT", f"/people/{public}", body, token=ADMIN_TOKEN).status == 409


def test_deleted_person_is_signed_out_and_found_only_on_request(world: World) -> None:
    token = world.cloud.token_for("bob")
    world.post("/messages", {"toPersonEmail": BOB, "text": "Hello"})
    assert world.call("DELETE", f"/people/{to_hydra_id('PEOPLE', BOB_ID)}", token=ADMIN_TOKEN).status == 204
    assert world.get("/people/me", token=token).status == 401
    assert world.post("/messages", {"toPersonEmail": BOB, "text": "Hello"}).status == 404
    url = f"{world.cloud.url}/conversation/api/v1/conversations/user/{BOB_ID}"
    mine = world.cloud.token_for("alice")
    assert fetch(url, token=mine).status == 404
    assert fetch(f"{url}?includeConvWithDeletedUserUUID=true", token=mine).json()["tags"] == ["ONE_ON_ONE"]


def test_own_memberships_are_listed_without_a_room(world: World) -> None:
    room = world.room_with(BOB)
    for query in ("", f"?personId={ALICE_ID}", "?personEmail=alice%40example.com"):
        items = world.get(f"/memberships{query}").body["items"]
        assert [(each["roomId"], each["personEmail"]) for each in items] == [(room, "alice@example.com")]
    assert world.get("/memberships?personEmail=bob%40example.com").status == 400


def test_moderator_is_added_as_member_first_and_makes_the_caller_one(world: World) -> None:
    world.webhook(world.cloud.token_for("alice"), resource="memberships", event="all")
    room = world.room()
    added = world.post("/memberships", {"roomId": room, "personEmail": BOB, "isModerator": True}).body
    assert added["isModerator"] is True
    world.cloud.settle()
    told = [json.loads(each) for each in world.bodies]
    seen = [(each["event"], each["data"]["personEmail"], each["data"]["isModerator"]) for each in told[1:]]
    assert seen == [("created", BOB, False), ("updated", BOB, True), ("updated", "alice@example.com", True)]
    assert world.get(f"/rooms/{room}").body["isLocked"] is True
    assert verbs(world, room) == ["create", "add", "assignModerator", "assignModerator", "lock"]


def test_last_moderator_unlocks_the_room(world: World) -> None:
    world.webhook(world.cloud.token_for("alice"), resource="rooms", event="updated")
    room = world.room_with(BOB)
    own = world.get(f"/memberships?roomId={room}&personEmail=alice%40example.com").body["items"][0]
    for moderator in (True, False):
        answer = world.call("PUT", f"/memberships/{own['id']}", {**own, "isModerator": moderator})
        assert answer.body["isModerator"] is moderator
        assert world.get(f"/rooms/{room}").body["isLocked"] is moderator
        assert world.delivered().body["data"]["isLocked"] is moderator
    assert verbs(world, room)[2:] == ["assignModerator", "lock", "unassignModerator", "unlock"]


def test_room_is_unlocked_when_its_last_moderator_leaves(world: World) -> None:
    room = world.room_with(BOB, isLocked=True)
    own = world.get(f"/memberships?roomId={room}&personEmail=alice%40example.com").body["items"][0]
    assert world.call("DELETE", f"/memberships/{own['id']}").status == 204
    assert world.get(f"/rooms/{room}", token=BOB_TOKEN).body["isLocked"] is False


def test_renaming_a_restored_locked_room_adds_no_lock_activity(world: World) -> None:
    room = world.room(isLocked=True)
    world.cloud.restore(world.cloud.snapshot())
    world.call("PUT", f"/rooms/{room}", {"title": "Renamed"})
    assert verbs(world, room) == ["create", "update"]


# What an administrator reads


@pytest.mark.parametrize("path", ["/licenses", "/roles", "/organizations"])
def test_administrator_lists_and_gets(world: World, path: str) -> None:
    items = world.get(path, token=ADMIN_TOKEN).body["items"]
    assert items
    for item in items:
        assert world.get(f"{path}/{item['id']}", token=ADMIN_TOKEN).body == item
    assert world.get(path).status == 403
    assert world.get(f"{path}/{to_hydra_id('ROLE', 'nothing')}", token=ADMIN_TOKEN).status == 404


def test_license_counts_its_users(world: World) -> None:
    def consumed() -> int:
        (found,) = (
            each
            for each in world.get("/licenses", token=ADMIN_TOKEN).body["items"]
            if each["name"] == "Advanced Messaging"
        )
        count: int = found["consumedByUsers"]
        return count

    before = consumed()
    world.post("/people", {"emails": ["carol@example.com"], "displayName": "Carol"}, token=ADMIN_TOKEN)
    assert consumed() == before + 1
    world.post("/people", {"emails": ["dan@example.com"], "licenses": []}, token=ADMIN_TOKEN)
    assert consumed() == before + 1


def test_audit_lists_administrator_actions(world: World) -> None:
    world.post("/people", {"emails": ["carol@example.com"], "displayName": "Carol"}, token=ADMIN_TOKEN)
    org = world.get("/people/me").body["orgId"]
    window = "from=2020-01-01T00:00:00.000Z&to=2100-01-01T00:00:00.000Z"
    items = world.get(f"/adminAudit/events?orgId={org}&{window}", token=ADMIN_TOKEN).body["items"]
    assert "created user Carol" in items[0]["data"]["actionText"]
    filtered = f"/adminAudit/events?orgId={org}&{window}&eventCategories=LOGINS"
    assert all(
        each["data"]["eventCategory"] == "LOGINS" for each in world.get(filtered, token=ADMIN_TOKEN).body["items"]
    )
    assert world.get(f"/adminAudit/events?orgId={org}", token=ADMIN_TOKEN).status == 400
    assert world.get(f"/adminAudit/events?orgId={org}&{window}").status == 403
    assert world.get("/locations", token=ADMIN_TOKEN).body == {"items": []}


def test_sdk_types_name_app_organization_and_creators(world: World) -> None:
    with Webex(world.cloud.token_for("alice"), emulator_url=world.cloud.url) as client:
        webhook = client.webhooks.create(name="A hook", target_url=world.target, resource="rooms", event="created")
        assert webhook.app_id == to_hydra_id("APPLICATION", DEVELOPER_APP_ID)
        assert webhook.created_by == to_hydra_id("PEOPLE", ALICE_ID)
        assert webhook.org_id == to_hydra_id("ORGANIZATION", ORG_ID)
        assert client.teams.create(name="A team").creator_id == to_hydra_id("PEOPLE", ALICE_ID)
