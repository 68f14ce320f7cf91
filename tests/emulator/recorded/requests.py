"""Each recorded request, played with plain HTTP against an emulator."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.emulator.helpers import code_from, exchange, fetch, login_url
from tests.emulator.recorded.shapes import Answer
from webex.emulator import Cloud, Emulator
from webex.emulator.accounts import ADMIN_TOKEN, ALICE_TOKEN, BOB_TOKEN, BOT_TOKEN, ORG_ID
from webex.ids import to_hydra_id

UNKNOWN = "00000000-0000-4000-8000-00000000dead"
CARD = {
    "contentType": "application/vnd.microsoft.card.adaptive",
    "content": {"type": "AdaptiveCard", "version": "1.3", "body": []},
}
PICTURE = b"\x89PNG\r\n\x1a\n and more"


class World:
    """A cloud, and short words for what the recorded requests need."""

    def __init__(self, cloud: Cloud, target: str, delivered: list[bytes]) -> None:
        self.cloud, self.target, self.bodies = cloud, target, delivered

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = ALICE_TOKEN, **more: Any) -> Answer:
        url = self.cloud.url + (path if path.startswith(("/wdm", "/u2c")) else "/v1" + path)
        answer = fetch(url, method, json_body=body, token=token, **more)
        is_json = "json" in answer.headers.get("content-type", "") and answer.body
        return Answer(answer.status, json.loads(answer.body) if is_json else None, answer.headers)

    def get(self, path: str, **more: Any) -> Answer:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> Answer:
        return self.call("POST", path, body, **more)

    def room(self, **fields: Any) -> str:
        return str(self.post("/rooms", {"title": "A space", **fields}).body["id"])

    def room_with(self, *emails: str, **fields: Any) -> str:
        room = self.room(**fields)
        for email in emails:
            self.post("/memberships", {"roomId": room, "personEmail": email})
        return room

    def message(self, **fields: Any) -> dict[str, Any]:
        body: dict[str, Any] = self.post(
            "/messages", {"roomId": fields.pop("room", None) or self.room(), **fields}
        ).body
        return body

    def upload(self, room: str, **fields: str) -> Answer:
        lines = [f'--x\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
        lines.append(f'--x\r\ncontent-disposition: form-data; name="roomId"\r\n\r\n{room}\r\n')
        head = '--x\r\ncontent-disposition: form-data; name="files"; filename="example.png"\r\n'
        head += "content-type: image/png\r\n\r\n"
        data = "".join(lines).encode() + head.encode() + PICTURE + b"\r\n--x--\r\n"
        return self.call("POST", "/messages", data=data, headers={"content-type": "multipart/form-data; boundary=x"})

    def webhook(self, token: str = BOT_TOKEN, **fields: Any) -> Answer:
        body = {"name": "A hook", "targetUrl": self.target, "resource": "messages", "event": "created", **fields}
        return self.post("/webhooks", body, token=token)

    def delivered(self) -> Answer:
        self.cloud.settle()
        return Answer(0, json.loads(self.bodies[-1]))


@contextmanager
def worlds() -> Iterator[World]:
    """A world of its own, with a target that takes webhooks."""
    bodies: list[bytes] = []

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        with Emulator() as cloud:
            yield World(cloud, f"http://127.0.0.1:{server.server_port}/hook", bodies)
    finally:
        server.shutdown()
        server.server_close()


PLAYED: dict[str, Callable[[World], Answer]] = {}


def plays(name: str) -> Callable[[Callable[[World], Answer]], Callable[[World], Answer]]:
    def register(played: Callable[[World], Answer]) -> Callable[[World], Answer]:
        PLAYED[name] = played
        return played

    return register


def _all(**played: Callable[[World], Answer]) -> None:
    PLAYED.update({name.replace("_", "-"): each for name, each in played.items()})


# Rooms


@plays("room-list-probe")
def room_list_probe(world: World) -> Answer:
    for number in range(3):
        world.room(title=f"Space {number}")
    return world.get("/rooms?max=2")


@plays("room-post-team")
def room_post_team(world: World) -> Answer:
    team = world.post("/teams", {"name": "A team"}).body["id"]
    return world.post("/rooms", {"title": "Of a team", "teamId": team})


@plays("room-list")
def room_list(world: World) -> Answer:
    world.room()
    return world.get("/rooms")


def _public(world: World) -> Answer:
    return world.get(f"/rooms/{world.room(isPublic=True, description='Open to all')}")


def _text_plain(world: World) -> Answer:
    return world.call("POST", "/rooms", data=b'{"title": "x"}', headers={"content-type": "text/plain"})


_all(
    room_post_desc=lambda w: w.post("/rooms", {"title": "A space", "description": "What it is for"}),
    room_post=lambda w: w.post("/rooms", {"title": "A space"}),
    room_get=lambda w: w.get(f"/rooms/{w.room()}"),
    room_get_public=_public,
    room_404=lambda w: w.get("/rooms/1234"),
    room_del_404=lambda w: w.call("DELETE", "/rooms/1234"),
    room_no_title=lambda w: w.post("/rooms", {}),
    room_meeting_404=lambda w: w.get("/rooms/1234/meetingInfo"),
    room_meeting=lambda w: w.get(f"/rooms/{w.room()}/meetingInfo"),
    room_bad_type=_text_plain,
)

# People

_all(
    me_admin=lambda w: w.get("/people/me", token=ADMIN_TOKEN),
    me_user=lambda w: w.get("/people/me"),
    me_bot=lambda w: w.get("/people/me", token=BOT_TOKEN),
    people_none=lambda w: w.get("/people"),
    people_email=lambda w: w.get("/people?email=bob%40example.com"),
    people_404=lambda w: w.get(f"/people/{to_hydra_id('PEOPLE', UNKNOWN)}"),
)

# Memberships


def _twice(world: World) -> Answer:
    room = world.room_with("bob@example.com")
    return world.post("/memberships", {"roomId": room, "personEmail": "bob@example.com"})


_NO_MEMBERSHIP = to_hydra_id("MEMBERSHIP", f"{UNKNOWN}:{UNKNOWN}")
_NO_ROOM = to_hydra_id("ROOM", UNKNOWN)
_all(
    mem_list=lambda w: w.get(f"/memberships?roomId={w.room_with('bob@example.com')}"),
    mem_post=lambda w: w.post("/memberships", {"roomId": w.room(), "personEmail": "bob@example.com"}),
    mem_dup=_twice,
    mem_list_404=lambda w: w.get(f"/memberships?roomId={_NO_ROOM}"),
    mem_get_404=lambda w: w.get(f"/memberships/{_NO_MEMBERSHIP}"),
    mem_no_room=lambda w: w.post("/memberships", {"personEmail": "bob@example.com"}),
    mem_no_person=lambda w: w.post("/memberships", {"roomId": w.room()}),
    mem_del_404=lambda w: w.call("DELETE", f"/memberships/{_NO_MEMBERSHIP}"),
    mem_bad_email=lambda w: w.post("/memberships", {"roomId": w.room(), "personEmail": "noat"}),
)

# Messages


@plays("msg-card")
def message_with_card(world: World) -> Answer:
    room = world.room()
    first = world.message(room=room, text="first")["id"]
    reply = world.message(room=room, markdown="**card**", attachments=[CARD], parentId=first)
    return world.get(f"/messages/{reply['id']}")


@plays("msg-file")
def message_with_file(world: World) -> Answer:
    room = world.room()
    first = world.message(room=room, text="first")["id"]
    sent = world.upload(room, text="see", parentId=first)
    return world.get(f"/messages/{sent.body['id']}")


@plays("msg-mention")
def message_with_mention(world: World) -> Answer:
    room = world.room_with("bob@example.com")
    world.message(room=room, markdown="<@personEmail:bob@example.com|Bob>, look")
    return world.get(f"/messages?roomId={room}&mentionedPeople=me", token=BOB_TOKEN)


@plays("msg-edited")
def message_edited(world: World) -> Answer:
    room = world.room()
    message = world.message(room=room, text="first")["id"]
    world.call("PUT", f"/messages/{message}", {"roomId": room, "text": "second"})
    return world.get(f"/messages/{message}")


@plays("msg-reply")
def message_reply(world: World) -> Answer:
    room = world.room()
    first = world.message(room=room, text="first")["id"]
    return world.get(f"/messages/{world.message(room=room, text='second', parentId=first)['id']}")


@plays("msg-link")
def message_link(world: World) -> Answer:
    room = world.room()
    for number in range(3):
        world.message(room=room, text=str(number))
    return world.get(f"/messages?roomId={room}&max=2")


def _bot_list(world: World) -> Answer:
    return world.get(f"/messages?roomId={world.room_with('bot@example.com')}", token=BOT_TOKEN)


def _bad_json(world: World) -> Answer:
    return world.call("POST", "/messages", data=b"{text", headers={"content-type": "application/json"})


_all(
    msg_post=lambda w: w.post("/messages", {"roomId": w.room(), "text": "Hello"}),
    msg_get=lambda w: w.get(f"/messages/{w.message(text='Hello')['id']}"),
    msg_post_md=lambda w: w.post("/messages", {"roomId": w.room(), "markdown": "**Hello**"}),
    msg_post_both=lambda w: w.post("/messages", {"roomId": w.room(), "text": "Hello", "markdown": "**Hello**"}),
    msg_post_email=lambda w: w.post("/messages", {"toPersonEmail": "bob@example.com", "text": "Hello"}),
    msg_bot_list=_bot_list,
    msg_404=lambda w: w.get(f"/messages/{to_hydra_id('MESSAGE', UNKNOWN)}"),
    msg_nodest=lambda w: w.post("/messages", {"text": "Hello"}),
    msg_empty=lambda w: w.post("/messages", {"toPersonEmail": "bob@example.com"}),
    msg_noone=lambda w: w.post("/messages", {"toPersonEmail": "nobody@example.com", "text": "Hello"}),
    msg_room_404=lambda w: w.post("/messages", {"roomId": _NO_ROOM, "text": "Hello"}),
    msg_long=lambda w: w.post("/messages", {"roomId": w.room(), "text": "x" * 8000}),
    msg_url=lambda w: w.post("/messages", {"roomId": w.room(), "files": ["http://127.0.0.1:9/nothing.png"]}),
    msg_noroom_list=lambda w: w.get("/messages"),
    msg_direct_none=lambda w: w.get("/messages/direct?personEmail=admin%40example.com"),
    msg_badjson=_bad_json,
)

# Cards


def _card(world: World) -> str:
    room = world.room_with("bob@example.com")
    return str(world.message(room=room, text="card", attachments=[CARD])["id"])


def _submit(world: World, message: str, token: str = BOB_TOKEN) -> Answer:
    return world.post(
        "/attachment/actions", {"type": "submit", "messageId": message, "inputs": {"a": "b"}}, token=token
    )


_all(
    action_get=lambda w: w.get(f"/attachment/actions/{_submit(w, _card(w)).body['id']}", token=BOB_TOKEN),
    action_404=lambda w: w.get(f"/attachment/actions/{to_hydra_id('ATTACHMENT_ACTION', UNKNOWN)}"),
    action_nocard=lambda w: _submit(w, w.message(text="no card")["id"], ALICE_TOKEN),
    action_own=lambda w: _submit(w, _card(w), ALICE_TOKEN),
)

# Teams and webhooks


@plays("hook-404")
def webhook_deleted(world: World) -> Answer:
    webhook = world.webhook().body["id"]
    world.call("DELETE", f"/webhooks/{webhook}", token=BOT_TOKEN)
    return world.get(f"/webhooks/{webhook}", token=BOT_TOKEN)


@plays("hook-list")
def webhook_list(world: World) -> Answer:
    world.webhook()
    return world.get("/webhooks", token=BOT_TOKEN)


@plays("wh-msg")
def webhook_message(world: World) -> Answer:
    room = world.room_with("bob@example.com")
    first = world.message(room=room, text="first")["id"]
    world.webhook(BOB_TOKEN)
    world.message(room=room, text="second", parentId=first)
    return world.delivered()


@plays("wh-msg-direct")
def webhook_direct(world: World) -> Answer:
    world.webhook()
    world.post("/messages", {"toPersonEmail": "bot@example.com", "text": "Hello"})
    return world.delivered()


@plays("wh-action")
def webhook_action(world: World) -> Answer:
    room = world.room_with("bot@example.com")
    card = world.call("POST", "/messages", {"roomId": room, "text": "c", "attachments": [CARD]}, token=BOT_TOKEN)
    world.webhook(resource="attachmentActions")
    _submit(world, card.body["id"], ALICE_TOKEN)
    return world.delivered()


_BAD_FILTER = {"resource": "rooms", "filter": f"roomId={_NO_ROOM}"}
_FULL = {"resource": "messages", "filter": f"roomId={_NO_ROOM}", "secret": "a secret"}
_all(
    team_post=lambda w: w.post("/teams", {"name": "A team"}),
    hook_post=lambda w: w.webhook(),
    hook_post_full=lambda w: w.webhook(**_FULL),
    hook_badfilter=lambda w: w.webhook(**_BAD_FILTER),
    hook_noname=lambda w: w.post("/webhooks", {"targetUrl": w.target, "resource": "messages", "event": "created"}),
    hook_nourl=lambda w: w.post("/webhooks", {"name": "A hook", "resource": "messages", "event": "created"}),
)

# Events, tokens, files, and what administrators and devices ask for


@plays("events-mem")
def events_of_memberships(world: World) -> Answer:
    world.room_with("bob@example.com")
    return world.get("/events?resource=memberships")


@plays("events-msg")
def events_of_messages(world: World) -> Answer:
    room = world.room()
    for number in range(3):
        world.message(room=room, text=str(number))
    return world.get("/events?resource=messages&max=2")


@plays("scope-403")
def without_scope(world: World) -> Answer:
    return world.get("/rooms", token=world.cloud.token_for("alice", ["spark:people_read"]))


@plays("file-head")
def file_head(world: World) -> Answer:
    sent = world.upload(world.room())
    return world.call("HEAD", sent.body["files"][0].partition("/v1")[2])


def _token(world: World) -> Answer:
    url = login_url(world.cloud, scope="spark:people_read spark:kms")
    answer = exchange(world.cloud, code_from(world.cloud.sign_in(url)))
    return Answer(answer.status, answer.json(), answer.headers)


_AUDIT = f"/adminAudit/events?orgId={to_hydra_id('ORGANIZATION', ORG_ID)}"
_DEVICE = {
    "name": "A client",
    "deviceType": "WEB",
    "model": "web-js-sdk",
    "localizedModel": "webex-js-sdk",
    "systemName": "WEBEX_JS_SDK",
    "systemVersion": "1.0.0",
}
_all(
    events_old=lambda w: w.get("/events?from=2020-01-01T00:00:00.000Z"),
    token=_token,
    token_scope=_token,
    no_token=lambda w: w.get("/rooms", token=None),
    bad_token=lambda w: w.get("/rooms", token="INVALID"),
    no_path=lambda w: w.get("/nothing"),
    licenses=lambda w: w.get("/licenses", token=ADMIN_TOKEN),
    audit=lambda w: w.get(f"{_AUDIT}&from=2020-01-01T00:00:00.000Z&to=2100-01-01T00:00:00.000Z", token=ADMIN_TOKEN),
    wdm_post=lambda w: w.post("/wdm/api/v1/devices", _DEVICE),
    u2c_v2=lambda w: w.get("/u2c/api/v1/catalog?format=U2Cv2"),
)
