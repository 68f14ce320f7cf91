"""`webexpythonsdk` as its guides use it: every resource of the messaging API, over TLS. Nothing of it is changed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from checks import equal, refused, sign_in, step, tell
from webexpythonsdk import ApiError, WebexAPI

BASE = os.environ["BASE"] + "/v1/"
alice = WebexAPI(os.environ["ALICE"], base_url=BASE)
bob = WebexAPI(os.environ["BOB"], base_url=BASE)
me, other = alice.people.me(), bob.people.me()
room = alice.rooms.create("A room")
APP = {"client_id": os.environ["CLIENT_ID"], "redirect_uri": os.environ["REDIRECT_URI"]}
CARD: dict[str, Any] = {
    "contentType": "application/vnd.microsoft.card.adaptive",
    "content": {"type": "AdaptiveCard", "version": "1.2", "body": [{"type": "Input.Text", "id": "name"}]},
}


def emails(listed: Any) -> list[str]:
    return sorted(each.personEmail for each in listed)


def sign_in_with_a_code() -> None:
    query = {**APP, "response_type": "code", "scope": "spark:all spark:kms", "state": "s"}
    secret = os.environ["CLIENT_SECRET"]
    code = sign_in(f"{os.environ['BASE']}/v1/authorize?{urlencode(query)}", "bob")
    app = WebexAPI(base_url=BASE, client_secret=secret, oauth_code=code, **APP)
    equal(app.people.me().emails, ["bob@example.com"])
    code = sign_in(f"{os.environ['BASE']}/v1/authorize?{urlencode(query)}", "bob")
    got = alice.access_tokens.get(APP["client_id"], secret, code, APP["redirect_uri"])
    again = alice.access_tokens.refresh(APP["client_id"], secret, got.refresh_token)
    equal(again.access_token == got.access_token, False)
    equal(WebexAPI(again.access_token, base_url=BASE).people.me().id, other.id)


def people() -> None:
    equal((me.emails, me.type, me.displayName), (["alice@example.com"], "person", "Alice Example"))
    equal(alice.people.get(other.id).displayName, "Bob Example")
    equal([each.id for each in alice.people.list(email="bob@example.com")], [other.id])
    equal([each.id for each in alice.people.list(displayName="Bob")], [other.id])
    equal([each.id for each in alice.people.list(id=other.id)], [other.id])


def administration() -> None:
    admin = WebexAPI(os.environ["ADMIN"], base_url=BASE)
    equal([each.id for each in admin.organizations.list()], [me.orgId])
    equal(admin.organizations.get(me.orgId).id, me.orgId)
    license = next(iter(admin.licenses.list()))
    equal(admin.licenses.get(license.id).name, license.name)
    role = next(iter(admin.roles.list()))
    equal(admin.roles.get(role.id).name, role.name)
    person = admin.people.create(["carol@example.com"], displayName="Carol", licenses=[license.id], orgId=me.orgId)
    equal(admin.people.get(person.id).licenses, [license.id])
    data = person.json_data | {"displayName": "Carol Updated"}
    equal(admin.people.update(person.id, **data).displayName, "Carol Updated")
    admin.people.delete(person.id)
    refused(lambda: admin.people.get(person.id), ApiError, 404)


def rooms() -> None:
    made = {room.id, *(alice.rooms.create(title).id for title in ("One", "Two", "Three"))}
    equal({each.id for each in alice.rooms.list(max=2)}, made)
    equal(alice.rooms.get(room.id).title, "A room")
    equal(alice.rooms.update(room.id, "Our room").title, "Our room")
    equal(alice.rooms.get_meeting_info(room.id).roomId, room.id)
    gone = next(iter(made - {room.id}))
    alice.rooms.delete(gone)
    refused(lambda: alice.rooms.get(gone), ApiError, 404)
    refused(lambda: bob.rooms.get(room.id), ApiError, 404)


def memberships() -> None:
    membership = alice.memberships.create(room.id, personEmail="bob@example.com")
    equal(emails(alice.memberships.list(roomId=room.id, max=1)), ["alice@example.com", "bob@example.com"])
    equal(alice.memberships.get(membership.id).personId, other.id)
    equal(alice.memberships.update(membership.id, isModerator=True).isModerator, True)
    equal(alice.memberships.update(membership.id, isModerator=False).isModerator, False)
    alice.memberships.delete(membership.id)
    equal(emails(alice.memberships.list(roomId=room.id)), ["alice@example.com"])
    alice.memberships.create(room.id, personId=other.id)
    refused(lambda: alice.memberships.create(room.id, personId=other.id), ApiError, 409)
    equal(room.id in {each.roomId for each in bob.memberships.list()}, True)


def messages() -> None:
    sent = [alice.messages.create(room.id, markdown=f"**Hello** {number}") for number in range(3)]
    listed = list(alice.messages.list(room.id, max=2))
    equal([each.id for each in listed], [each.id for each in reversed(sent)])
    equal(listed[0].text, "Hello 2")
    answer = bob.messages.create(room.id, parentId=sent[0].id, text="An answer")
    equal([each.id for each in alice.messages.list(room.id, parentId=sent[0].id)], [answer.id])
    equal([each.id for each in alice.messages.list(room.id, beforeMessage=sent[1].id)], [sent[0].id])
    equal(alice.messages.edit(sent[0].id, room.id, text="Edited").text, "Edited")
    mention = alice.messages.create(room.id, markdown=f"<@personEmail:{other.emails[0]}|Bob>, **look**")
    equal([each.id for each in bob.messages.list(room.id, mentionedPeople="me")], [mention.id])
    alice.messages.delete(sent[1].id)
    refused(lambda: alice.messages.get(sent[1].id), ApiError, 404)
    refused(lambda: bob.messages.delete(sent[2].id), ApiError, 403)
    direct = alice.messages.create(toPersonEmail="bob@example.com", text="Psst")
    equal(direct.roomType, "direct")
    equal([each.text for each in bob.messages.list_direct(personEmail="alice@example.com")], ["Psst"])


def files() -> None:
    content = bytes(range(256)) * 100
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some bytes.bin"
        path.write_bytes(content)
        message = alice.messages.create(room.id, text="A file", files=[str(path)])
    equal((message.text, len(message.files)), ("A file", 1))
    headers = {"Authorization": f"Bearer {bob.access_token}"}
    equal(requests.get(message.files[0], headers=headers, timeout=10).content, content)
    head = requests.head(message.files[0], headers=headers, timeout=10)
    equal("some%20bytes.bin" in head.headers["content-disposition"] or "some bytes" in str(head.headers), True)


def cards() -> None:
    card = bob.messages.create(room.id, text="A card", attachments=[CARD])
    equal(card.attachments[0]["content"]["body"], CARD["content"]["body"])
    action = alice.attachment_actions.create("submit", card.id, {"name": "Alice"})
    equal(bob.attachment_actions.get(action.id).inputs, {"name": "Alice"})


def teams() -> None:
    team = alice.teams.create("A team")
    equal(alice.teams.update(team.id, "Our team").name, "Our team")
    equal([each.id for each in alice.teams.list()], [team.id])
    member = alice.team_memberships.create(team.id, personId=other.id, isModerator=True)
    equal(alice.team_memberships.get(member.id).isModerator, True)
    equal(alice.team_memberships.update(member.id, isModerator=False).isModerator, False)
    equal(emails(bob.team_memberships.list(team.id, max=1)), ["alice@example.com", "bob@example.com"])
    inside = alice.rooms.create("Of the team", teamId=team.id)
    equal(inside.id in {each.id for each in alice.rooms.list(teamId=team.id)}, True)
    alice.team_memberships.delete(member.id)
    alice.teams.delete(team.id)
    refused(lambda: alice.teams.get(team.id), ApiError, 404)


def webhooks() -> None:
    target = os.environ["HOOK"]
    made = alice.webhooks.create("Mine", target, "messages", "created", filter=f"roomId={room.id}", secret="s")
    equal((made.status, made.filter), ("active", f"roomId={room.id}"))
    equal(alice.webhooks.get(made.id).targetUrl, target)
    equal([each.id for each in alice.webhooks.list()], [made.id])
    equal(alice.webhooks.update(made.id, name="Yours", targetUrl=target).name, "Yours")
    alice.webhooks.delete(made.id)
    equal(list(alice.webhooks.list()), [])


def room_tabs() -> None:
    tab = alice.room_tabs.create(room.id, "https://www.example.com", "A tab")
    equal(alice.room_tabs.get(tab.id).displayName, "A tab")
    equal(alice.room_tabs.update(tab.id, room.id, "https://www.example.com", "Our tab").displayName, "Our tab")
    equal([each.id for each in alice.room_tabs.list(room.id)], [tab.id])
    alice.room_tabs.delete(tab.id)
    equal(list(alice.room_tabs.list(room.id)), [])


def events() -> None:
    listed = list(alice.events.list(resource="messages", type="created", max=5))
    equal({each.resource for each in listed}, {"messages"})
    equal(alice.events.get(listed[0].id).id, listed[0].id)


STEPS = (sign_in_with_a_code, people, administration, rooms, memberships, messages, files, cards, teams, webhooks)
for each in (*STEPS, room_tabs, events):
    step(each)
tell("webexpythonsdk")
