"""`webex-bot` as its guide uses it: commands, cards and their answers, over TLS. Nothing of it is changed.

Its hosts are fixed, so every name of this process is the emulator. The people who talk to the bot are `webexpythonsdk`,
which comes with it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from typing import Any

from checks import equal, resolve_all_names, step, tell

resolve_all_names()

from webex_bot.models.command import Command  # noqa: E402
from webex_bot.models.response import Response  # noqa: E402
from webex_bot.webex_bot import WebexBot  # noqa: E402
from webexpythonsdk import WebexAPI  # noqa: E402

PATIENCE = 60
FIRST = ("shout", "first")
alice = WebexAPI(os.environ["ALICE"])
ran: queue.Queue[tuple[str, str]] = queue.Queue()  # the command and what it got
CARD = {
    "type": "AdaptiveCard",
    "version": "1.2",
    "body": [{"type": "Input.Text", "id": "city"}],
    "actions": [{"type": "Action.Submit", "title": "Go", "data": {"callback_keyword": "weather_callback"}}],
}


class Weather(Command):
    def __init__(self) -> None:
        super().__init__(command_keyword="weather", help_message="Weather", chained_commands=[Callback()])

    def execute(self, message: str, attachment_actions: Any, activity: Any) -> Response:
        ran.put(("weather", message.strip()))
        response = Response()
        response.text = "Which city?"
        response.attachments = {"contentType": "application/vnd.microsoft.card.adaptive", "content": CARD}
        return response


class Callback(Command):
    def __init__(self) -> None:
        super().__init__(card_callback_keyword="weather_callback", delete_previous_message=True)

    def execute(self, message: str, attachment_actions: Any, activity: Any) -> str:
        ran.put(("callback", attachment_actions.inputs["city"]))
        return f"It rains in {attachment_actions.inputs['city']}."


class Shout(Command):
    def __init__(self) -> None:
        super().__init__(command_keyword="shout", help_message="Shout")

    def execute(self, message: str, attachment_actions: Any, activity: Any) -> list[str]:
        ran.put(("shout", message.strip()))
        return [message.upper().strip(), "Twice."]


bot = WebexBot(os.environ["BOT"], bot_name="A bot", approved_users=["alice@example.com"], log_level="CRITICAL")
for command in (Weather(), Shout()):
    bot.add_command(command)
room = alice.rooms.create("With a bot")
alice.memberships.create(room.id, personEmail=bot.bot_email)


def next_run() -> tuple[str, str]:
    """The next command that ran; the posts that waited for the connection may be answered late, and more than once."""
    while (told := ran.get(timeout=PATIENCE)) == FIRST:
        pass
    return told


def waited(found: Any) -> Any:
    """What `found` gives as soon as it gives something."""
    until = time.monotonic() + PATIENCE
    while not (result := found()):
        if time.monotonic() > until:
            raise AssertionError("it did not come")
        time.sleep(0.05)
    return result


def answers(room_id: str, text: str) -> Any:
    listed = [each for each in alice.messages.list(room_id) if each.text == text]
    return listed[0] if listed else None


def connects() -> None:
    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        bot.run()

    threading.Thread(target=run, daemon=True).start()
    waited(lambda: bot.websocket)
    equal(bot.bot_email, bot.teams.people.me().emails[0])
    equal(bot.device_info["name"], "python-spark-client")
    # The socket is authorized once a first answer comes.
    waited(_answered)


def _answered() -> Any:
    alice.messages.create(toPersonEmail=bot.bot_email, text="shout first")
    try:
        return ran.get(timeout=2)
    except queue.Empty:
        return None


def mention_in_a_room() -> None:
    asked = alice.messages.create(room.id, markdown=f"<@personEmail:{bot.bot_email}> shout hello")
    # This version forgets the bot's name when it starts, so the mention stays in what the command gets.
    name = bot.teams.people.me().displayName
    equal(next_run(), ("shout", f"{name} shout hello"))
    answer = waited(lambda: answers(room.id, f"{name} shout hello".upper()))
    equal((answer.parentId, answer.personEmail), (asked.id, bot.bot_email))
    equal(waited(lambda: answers(room.id, "Twice.")).parentId, asked.id)


def direct_message_and_card() -> None:
    asked = alice.messages.create(toPersonEmail=bot.bot_email, text="weather please")
    equal(next_run(), ("weather", "please"))
    card = waited(lambda: answers(asked.roomId, "Which city?"))
    equal(card.attachments[0]["content"]["body"], CARD["body"])
    alice.attachment_actions.create("submit", card.id, {"callback_keyword": "weather_callback", "city": "Oslo"})
    equal(next_run(), ("callback", "Oslo"))
    equal(waited(lambda: answers(asked.roomId, "It rains in Oslo.")).roomType, "direct")
    waited(lambda: answers(asked.roomId, "Which city?") is None)  # the bot has deleted its card


def help_card() -> None:
    asked = alice.messages.create(toPersonEmail=bot.bot_email, text="what can you do?")
    card = waited(lambda: next((each for each in alice.messages.list(asked.roomId) if each.attachments), None))
    equal("A bot" in str(card.attachments), True)


def strangers_are_not_answered() -> None:
    bob = WebexAPI(os.environ["BOB"])
    bob.messages.create(toPersonEmail=bot.bot_email, text="shout me too")
    alice.messages.create(toPersonEmail=bot.bot_email, text="shout again")
    equal(next_run(), ("shout", "again"))
    equal([each.personEmail for each in bob.messages.list_direct(personEmail=bot.bot_email)], ["bob@example.com"])


for each in (connects, mention_in_a_room, direct_message_and_card, help_card, strangers_are_not_answered):
    step(each)
tell("webex-bot")
