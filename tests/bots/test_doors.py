"""What happens is the same whether a test, a socket, a webhook or a fleet brings it, field by field."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

from webex.bots import Bot, Card, Context, allow
from webex.cards import Submit, TextBlock
from webex.ids import membership_id, parse_id
from webex.testing.bots import BotTest, Door

ONLY_OF_REST = {"markdown", "isVoiceClip", "isMonitor", "isPublic", "isReadOnly", "lastActivity", "ownerId"}
OF_THE_LAST_STATE = {
    "created",
    "updated",
    "mentionedPeople",
}  # an activity that ends a message, or edits it, has not all
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)")
EVENTS = {
    "messages": ("created", "updated", "deleted"),
    "rooms": ("updated",),
    "memberships": ("created", "deleted"),
    "attachmentActions": ("created",),
    "reactions": ("created", "deleted"),
}


def test_every_door_brings_the_same() -> None:
    seen = _played("test")
    of_test = _without_what_is_new(seen)
    assert [f"{each['resource']}:{each['event']}" for each in of_test] == [
        "memberships:created",
        "messages:created",
        "messages:updated",
        "messages:created",
        "attachmentActions:created",
        "reactions:created",
        "reactions:deleted",
        "rooms:updated",
        "messages:deleted",
        "memberships:created",
        "memberships:deleted",
        "memberships:deleted",
    ]
    assert _without_what_is_new(_played("socket")) == of_test
    assert _without_what_is_new(_played("fleet")) == of_test
    of_webhooks = [each for each in seen if each["resource"] != "reactions"]  # which have none
    assert _without_what_is_new(_played("webhook")) == _without_what_is_new(of_webhooks)


def _played(door: Door) -> list[dict[str, Any]]:
    """Play a script; return what the handlers were given."""
    bot = Bot(allow=allow.everyone(), unknown="ignore")
    seen: list[dict[str, Any]] = []

    async def note(ctx: Context) -> None:
        found = {each.name: getattr(ctx.happening, each.name) for each in fields(ctx.happening)}
        left_out = ONLY_OF_REST if ctx.happening.event == "created" else ONLY_OF_REST | OF_THE_LAST_STATE
        data = {name: value for name, value in found["data"].to_dict().items() if name not in left_out}
        del found["door"], found["client"]
        seen.append(found | {"data": data, "files": len(ctx.files), "text": ctx.text})

    for resource, names in EVENTS.items():
        for name in names:
            bot.event(resource, name)(note)
    with BotTest(bot, door=door) as t:
        room = t.room("Ops", t.alice)
        said = t.alice.says("hello **you**", room=room).said
        assert said is not None
        t.alice.edits(said, f"{t.mention} edited")
        t.alice.says("in the thread", room=room, thread=said, files=("a.txt", b"text"))
        card = t.say(room, Card(TextBlock("Well?"), actions=[Submit("Yes", data={"n": 1})])).card
        t.alice.presses("Yes", card)
        t.alice.reacts(card, "heart")
        t.alice.unreacts(card, "heart")
        t.does(t.alice.client.rooms.update(room, title="Renamed"))
        t.does(t.alice.client.messages.delete(said.id))
        t.does(t.alice.client.memberships.create(room_id=room, person_id=t.bob.id))
        for person in (t.bob.id, t.bot_id):
            t.does(t.alice.client.memberships.delete(membership_id(person, room)))
    return seen


def _without_what_is_new(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give ids names in the order in which they are met, and moments and addresses the same one."""
    names: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"{parse_id(match[0]).kind} {len(names)}")

    text = MOMENT.sub("a moment", json.dumps(seen, default=str, sort_keys=True))
    text = re.sub(r"http://127\.0\.0\.1:\d+", "the cloud", text)
    found: list[dict[str, Any]] = json.loads(re.sub(r"Y2lzY29zcGFyazovL[\w-]+", named, text))
    return found
