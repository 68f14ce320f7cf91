"""`wxc-sdk` as its guides use it, blocking and asynchronous, over TLS. Nothing of it is changed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import requests
from checks import equal, refused, sign_in, step, tell
from wxc_sdk import WebexSimpleApi
from wxc_sdk.as_api import AsWebexSimpleApi
from wxc_sdk.as_rest import AsRestSession
from wxc_sdk.common import RoomType
from wxc_sdk.integration import Integration
from wxc_sdk.people import Person
from wxc_sdk.rest import RestError, RestSession
from wxc_sdk.webhook import WebhookEventType, WebhookResource

AsRestSession.BASE = RestSession.BASE = os.environ["BASE"] + "/v1"  # there is no argument for it
alice, bob = (WebexSimpleApi(tokens=os.environ[name]) for name in ("ALICE", "BOB"))
me, other = alice.people.me(), bob.people.me()
room = alice.rooms.create("A room")
CARD: dict[str, Any] = {
    "contentType": "application/vnd.microsoft.card.adaptive",
    "content": {"type": "AdaptiveCard", "version": "1.2", "body": [{"type": "Input.Text", "id": "name"}]},
}


def emails(listed: Any) -> list[str]:
    return sorted(each.person_email for each in listed)


def sign_in_with_a_code() -> None:
    app = Integration(
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
        scopes=["spark:all", "spark:kms"],
        redirect_url=os.environ["REDIRECT_URI"],
        auth_service=os.environ["BASE"] + "/v1/authorize",
        token_service=os.environ["BASE"] + "/v1/access_token",
    )
    tokens = app.tokens_from_code(sign_in(app.auth_url(state="s"), "bob"))
    equal(WebexSimpleApi(tokens=tokens).people.me().person_id, other.person_id)
    before = tokens.access_token
    app.refresh(tokens)
    equal(tokens.access_token == before, False)
    equal(WebexSimpleApi(tokens=tokens).people.me().person_id, other.person_id)


def people() -> None:
    equal((me.emails, me.display_name), (["alice@example.com"], "Alice Example"))
    equal(alice.people.details(other.person_id).display_name, "Bob Example")
    equal([each.person_id for each in alice.people.list(email="bob@example.com")], [other.person_id])
    both = {each.person_id for each in alice.people.list(id_list=[me.person_id, other.person_id])}
    equal(both, {me.person_id, other.person_id})


def administration() -> None:
    admin = WebexSimpleApi(tokens=os.environ["ADMIN"])
    equal([each.org_id for each in admin.organizations.list()], [me.org_id])
    license = next(iter(admin.licenses.list()))
    equal(admin.licenses.details(license.license_id).name, license.name)
    role = next(iter(admin.roles.list()))
    equal(admin.roles.details(role.id).name, role.name)
    carol = Person(emails=["carol@example.com"], display_name="Carol", first_name="Carol", last_name="C")
    made = admin.people.create(carol)
    made.display_name = "Carol Updated"
    equal(admin.people.update(made).display_name, "Carol Updated")
    equal(len(list(admin.people.list(max=2))) >= 4, True)
    admin.people.delete_person(made.person_id)
    refused(lambda: admin.people.details(made.person_id), RestError, 404)


def rooms() -> None:
    made = {room.id, *(alice.rooms.create(title).id for title in ("One", "Two"))}
    equal({each.id for each in alice.rooms.list(max=2)}, made)
    details = alice.rooms.details(room.id)
    equal(alice.rooms.update(details), details)
    details.title = "Our room"
    equal(alice.rooms.update(details).title, "Our room")
    gone = next(iter(made - {room.id}))
    alice.rooms.delete(gone)
    refused(lambda: alice.rooms.details(gone), RestError, 404)


def memberships() -> None:
    before = list(alice.membership.list(room_id=room.id))
    membership = alice.membership.create(room.id, person_email="bob@example.com")
    equal(emails(alice.membership.list(room_id=room.id, max=1)), ["alice@example.com", "bob@example.com"])
    equal(alice.membership.details(membership.id).person_id, other.person_id)
    membership.is_moderator = True
    equal(alice.membership.update(membership).is_moderator, True)
    membership.is_moderator = False
    equal(alice.membership.update(membership).is_moderator, False)
    alice.membership.delete(membership.id)
    after = list(alice.membership.list(room_id=room.id))
    equal([each.id for each in after], [each.id for each in before])
    alice.membership.create(room.id, person_id=other.person_id)
    refused(lambda: alice.membership.create(room.id, person_id=other.person_id), RestError, 409)


def messages() -> None:
    sent = [alice.messages.create(room_id=room.id, markdown=f"**Hello** {number}") for number in range(3)]
    equal([each.id for each in alice.messages.list(room.id, max=2)], [each.id for each in reversed(sent)])
    answer = bob.messages.create(room_id=room.id, parent_id=sent[0].id, text="An answer")
    equal([each.id for each in alice.messages.list(room.id, parent_id=sent[0].id)], [answer.id])
    sent[0].text, sent[0].markdown, sent[0].html = "Edited", None, None
    equal(alice.messages.edit(sent[0]).text, "Edited")
    mention = alice.messages.create(room_id=room.id, markdown=f"Hi <@personId:{other.person_id}>")
    equal(mention.mentioned_people, [other.person_id])
    equal([each.id for each in bob.messages.list(room.id, mentioned_people=["me"])], [mention.id])
    alice.messages.delete(sent[1].id)
    refused(lambda: alice.messages.details(sent[1].id), RestError, 404)
    direct = alice.messages.create(to_person_id=other.person_id, text="Psst")
    equal(direct.room_type, RoomType.direct)
    equal([each.id for each in alice.messages.list_direct(person_id=other.person_id)], [direct.id])
    equal([each.id for each in bob.messages.list_direct(person_email="alice@example.com")], [direct.id])


def files() -> None:
    content = bytes(range(256)) * 100
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bytes.bin"
        path.write_bytes(content)
        message = alice.messages.create(room_id=room.id, text="A file", files=[str(path)])
    equal((message.text, len(message.files)), ("A file", 1))
    headers = {"Authorization": f"Bearer {os.environ['BOB']}"}
    equal(requests.get(message.files[0], headers=headers, timeout=10).content, content)


def cards() -> None:
    card = bob.messages.create(room_id=room.id, text="A card", attachments=[CARD])
    action = alice.attachment_actions.create("submit", card.id, {"name": "Alice"})
    equal(bob.attachment_actions.details(action.id).inputs, {"name": "Alice"})


def teams() -> None:
    team = alice.teams.create("A team")
    equal(alice.teams.update(team.id, "Our team").name, "Our team")
    equal([each.id for each in alice.teams.list()], [team.id])
    member = alice.team_memberships.create(team.id, person_id=other.person_id)
    equal(alice.team_memberships.membership(member.id, is_moderator=True).is_moderator, True)
    equal(emails(bob.team_memberships.list(team.id)), ["alice@example.com", "bob@example.com"])
    alice.team_memberships.delete(member.id)
    alice.teams.delete(team.id)
    refused(lambda: alice.teams.details(team.id), RestError, 404)


def webhooks() -> None:
    resource, event = WebhookResource.messages, WebhookEventType.created
    made = alice.webhook.create("Mine", os.environ["HOOK"], resource, event, secret="s")
    equal(alice.webhook.details(made.webhook_id).name, "Mine")
    # `update` of this version sends a form with names that the API does not have.
    equal([each.webhook_id for each in alice.webhook.list()], [made.webhook_id])
    alice.webhook.webhook_delete(made.webhook_id)
    equal(list(alice.webhook.list()), [])


def events() -> None:
    listed = list(alice.events.list(type_="created", max=5))
    equal(alice.events.details(listed[0].id).id, listed[0].id)


def asynchronous() -> None:
    async def main() -> None:
        async with AsWebexSimpleApi(tokens=os.environ["ALICE"]) as api:
            equal((await api.people.me()).person_id, me.person_id)
            made = await asyncio.gather(*(api.rooms.create(f"Room {number}") for number in range(5)))
            equal({each.id for each in made} <= {each.id async for each in api.rooms.list_gen(max=2)}, True)
            sent = await asyncio.gather(*(api.messages.create(room_id=each.id, text="Hello") for each in made))
            equal({each.text for each in sent}, {"Hello"})
            message = await api.messages.create(room_id=made[0].id, text="A file", files=[__file__])
            equal(len(message.files), 1)
            await asyncio.gather(*(api.rooms.delete(each.id) for each in made))
            equal({each.id for each in made} & {each.id for each in await api.rooms.list()}, set())

    asyncio.run(main())


STEPS = (sign_in_with_a_code, people, administration, rooms, memberships, messages, files, cards, teams, webhooks)
for each in (*STEPS, events, asynchronous):
    step(each)
tell("wxc-sdk")
