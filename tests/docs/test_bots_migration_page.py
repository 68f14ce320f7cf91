"""The bots of the migration page are short, and answer as those that they replace."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT, blocks_of, named
from webex.emulator import accounts
from webex.ids import public_id
from webex.models import Message
from webex.testing.bots import BotTest, Speaker

PAGE = ROOT / "docs" / "bots-migration.md"
LINES = 25
VARIABLES = {
    "WEBEX_BOT_TOKEN": accounts.BOT_TOKEN,
    "WEBEX_CLIENT_ID": accounts.CLIENT_ID,
    "WEBEX_CLIENT_SECRET": accounts.CLIENT_SECRET,
    "WEBEX_REDIRECT_URI": accounts.REDIRECT_URIS[0],
    "WEBEX_SCOPE": "spark:all",
}
Play = Callable[..., BotTest]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Run a block, and talk to its bot."""
    monkeypatch.chdir(tmp_path)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    tests: list[BotTest] = []
    modules: list[str] = []

    def begin(block: str, **options: Any) -> BotTest:
        found = named(block)
        module = type(sys)(block.replace("-", "_"))
        sys.modules[module.__name__] = module
        modules.append(module.__name__)
        exec(compile(found.code, found.id, "exec", dont_inherit=True), module.__dict__)
        tests.append(BotTest(module.__dict__["bot"], **options))
        return tests[-1]

    yield begin
    for each in tests:
        each.close()
    for name in modules:
        sys.modules.pop(name, None)


def stranger(t: BotTest, email: str) -> Speaker:
    person = t.cloud.add_person(email)
    return Speaker(t, person.id, t.cloud.token_for(email))


def write(t: BotTest, room: str, text: str) -> Message:
    """Let Alice mention the bot, and return what she wrote."""
    sent: list[Message] = []

    async def send() -> None:
        sent.append(await t.alice.client.messages.create(room_id=room, markdown=f"{t.mention} {text}"))

    t.does(send())
    return sent[0]


EXAMPLES = [block.directives["name"] for block in blocks_of(PAGE)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_ported_example_has_no_more_lines_than_the_page_says(name: str) -> None:
    lines = [line for line in named(name).code.splitlines() if line.strip()]
    assert len(lines) <= LINES


def test_every_example_is_talked_to_and_every_link_leads_to_a_heading() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = set(re.findall(r'play\("([\w-]+)"', Path(__file__).read_text(encoding="utf-8")))
    assert told == set(EXAMPLES)
    headings = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.+)$", text, re.M)}
    links = set(re.findall(r"\]\(#([\w-]+)\)", text))
    assert links
    assert links <= headings


def test_first_bot_of_webex_bot(play: Play) -> None:
    t = play("migration-first")
    t.alice.says("echo hello there")
    t.bot.replied("> hello there")
    t.bob.says("restart")
    assert "Restarting." not in t.bot.texts
    t.alice.says("restart")
    t.bot.replied("Restarting.")


def test_echo_card_of_webex_bot(play: Play) -> None:
    t = play("migration-echo")
    said = t.alice.says("echo")
    t.bot.replied("One moment …")
    t.alice.fills(said.card, text="x" * 31)
    card = t.bot.replied_card(error="text")
    t.alice.fills(card, text="words")
    t.bot.replied("> words")
    with pytest.raises(AssertionError):
        t.last_card()  # it was replaced by the answer


def test_help_card_of_webex_bot(play: Play) -> None:
    t = play("migration-help-card")
    for text in ("what can you do?", "help"):
        t.alice.says(text)
        t.bot.replied_card(title="Choose one.")
        t.alice.presses("Tells how the service is.")
        t.bot.replied("All is well.")
    t.alice.says("status")
    t.bot.replied("All is well.")


def test_chained_cards_of_webex_bot(play: Play) -> None:
    t = play("migration-chained")
    t.alice.says("choose")
    t.alice.presses("blue")
    t.bot.replied_card(title="You chose blue")
    t.alice.presses("Again")
    t.alice.presses("red")
    t.bot.replied_card(title="You chose red")


def test_answers_of_webex_bot(play: Play) -> None:
    t = play("migration-answers")
    room = t.room("Ops", t.alice, t.bob)
    t.alice.says("whoami", room=room)
    t.bot.replied("> You are alice@example.com.")
    t.alice.says("report", room=room)
    assert t.bot.texts == ["The log", "First part", "Second part"]
    assert len(t.bot.replied("The log").files or ()) == 1
    t.alice.says("pay 101", room=room)
    assert t.bot.texts == ["That is too much."]
    t.alice.says("pay 99", room=room)
    assert t.bot.replied("Your receipt").room_type == "direct"


def test_templates_of_the_node_framework(play: Play) -> None:
    t = play("migration-templates")
    room = t.room("Ops", t.alice)
    t.bot.replied("Hi there, say hello to me.")
    t.alice.says("hello", room=room)
    t.bot.replied("Hello Alice Example!")
    t.alice.says("what?", room=room)
    t.bot.replied("I do not know how to answer to “what?”.")


def test_starter_bot_of_the_node_framework(play: Play) -> None:
    t = play("migration-node")
    room = t.room("Ops", t.alice, t.bob)
    t.bot.replied(match="Hi there")
    t.alice.says("echo one  two", room=room)
    t.bot.replied(match="one +two")
    t.alice.says("say hi to everyone", room=room)
    t.bot.replied(match="Hi Alice Example, Bob Example, Example Bot")
    t.alice.says("inc2", room=room)
    t.alice.says("inc40", room=room)
    t.bot.replied("42")


def test_commands_of_the_node_framework(play: Play) -> None:
    t = play("migration-hears")
    t.alice.says("/say good morning")
    t.bot.replied("good morning")
    t.alice.says("a beer please")
    t.bot.replied("Enjoy a beer, Alice Example!")
    t.alice.says("order")
    t.bot.replied("It is on its way.")
    sys.modules["migration_hears"].__dict__["is_open"] = False
    t.alice.says("order")
    assert "It is on its way." not in t.bot.texts
    t.alice.says("help")
    t.bot.replied(match="say <greeting>: repeats it")
    eve = stranger(t, "eve@example.net")
    eve.says("say hello")
    assert "hello" not in t.bot.texts
    john = stranger(t, "john@example.org")
    john.says("say hello")
    t.bot.replied("hello")


def test_card_of_the_node_framework(play: Play) -> None:
    t = play("migration-form")
    card = t.alice.says("anything").card
    t.bot.replied_card(title="Tell us about yourself")
    t.alice.fills(card, name="Alice", email="nowhere")
    card = t.bot.replied_card(error="email")
    t.alice.fills(card, email="alice@example.com")
    t.bot.replied("Thank you, Alice: alice@example.com.")


def test_messages_of_the_node_framework(play: Play) -> None:
    t = play("migration-messages")
    room = t.room("Ops", t.alice, t.bob)
    said = t.alice.says("hello", room=room)
    assert t.bot.replied(match="Hello").parent_id is not None
    assert (said.card.text, t.bot.replied_card(title="A card").parent_id) == ("Your client shows no cards.", None)
    t.alice.says("file", room=room)
    assert len(t.bot.replied("Here is your file!").files or ()) == 1
    t.alice.says("dm bob@example.com", room=room)
    assert t.bot.replied("**hello** in private").room_type == "direct"
    assert t.bot.replied_card(title="bob@example.com, here is your card!").room_type == "direct"
    assert t.bot.replied("Done.").room_id == room


def test_rooms_of_the_node_framework(play: Play) -> None:
    t = play("migration-rooms")
    room = t.room("Ops", t.alice)
    t.cloud.add_person("carol@example.com")

    def members() -> set[str]:
        uuid = next(each.id for each in t.cloud.state.rooms.values() if each.title == "Ops")
        people = [each.person_id for each in t.cloud.state.memberships.values() if each.room_id == uuid]
        return {t.cloud.state.people[each].email for each in people}

    t.alice.says("add bob@example.com carol@example.com", room=room)
    t.bot.replied("2 added.")
    assert members() >= {"bob@example.com", "carol@example.com"}
    t.alice.says("remove bob@example.com", room=room)
    assert "bob@example.com" not in members()
    t.alice.says("new room Lunch", room=room)
    assert t.bot.replied("Here we are.").room_id != room


def test_rooms_that_the_node_framework_renames_leaves_and_removes(play: Play) -> None:
    t = play("migration-rooms-2")
    room = t.room("Ops", t.alice)
    t.alice.says("rename War room", room=room)
    t.bot.replied(match="Moderators:")
    assert "a secret" not in t.bot.texts
    assert "War room" in {each.title for each in t.cloud.state.rooms.values()}
    t.alice.says("exit", room=room)
    t.alice.says("rename Empty", room=room)
    t.bot.silent()


def test_room_that_a_bot_removes(play: Play) -> None:
    t = play("migration-rooms-2")

    async def made_by_the_bot() -> str:
        client = sys.modules["migration_rooms_2"].__dict__["bot"].client
        made = await client.rooms.create(title="Short-lived")
        await client.memberships.create(room_id=made.id, person_id=t.alice.id)
        return str(made.id)

    rooms: list[str] = []

    async def make() -> None:
        rooms.append(await made_by_the_bot())

    t.does(make())
    t.alice.says("implode", room=rooms[0])
    assert "Short-lived" not in {each.title for each in t.cloud.state.rooms.values()}


def test_state_of_the_node_framework(play: Play) -> None:
    t = play("migration-state")
    t.alice.says("store color dark red")
    t.alice.says("recall color")
    t.bot.replied("dark red")
    t.bob.says("recall color")  # of another room
    t.bot.replied("nothing")
    t.alice.says("forget color")
    t.alice.says("recall color")
    t.bot.replied("nothing")


def test_membership_rules_of_the_node_framework(play: Play) -> None:
    t = play("migration-members")
    room = t.room("Ops", t.alice)
    t.bot.replied("Hello!")
    t.alice.says("rooms", room=room)
    t.bot.replied("I am in 1 rooms.")
    t.does(t.alice.client.memberships.create(room_id=room, person_id=public_id("PEOPLE", accounts.BOB_ID)))
    t.bot.replied("Welcome Bob Example!")
    eve = stranger(t, "eve@example.net")
    t.does(t.alice.client.memberships.create(room_id=room, person_id=eve.id))
    t.alice.says("rooms", room=room)
    assert "I am in 1 rooms." not in t.bot.texts


def test_first_app_of_bolt(play: Play) -> None:
    t = play("migration-bolt")
    t.alice.says("hello you")
    t.alice.presses("Click me")
    t.bot.replied("Alice Example clicked the button")


def test_messages_of_bolt(play: Play) -> None:
    t = play("migration-bolt-messages")
    t.alice.says("👋 you")
    t.bot.replied(match=r"^Hi there, <@personId:\w+")
    t.alice.says("well, hello")
    t.bot.replied("hello, how are you?")
    t.alice.says("Knock knock")
    t.bot.replied("_Who's there?_")


def test_events_of_bolt(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    t = play("migration-bolt-events")
    room = t.room("Ops", t.alice)
    t.does(t.alice.client.memberships.create(room_id=room, person_id=public_id("PEOPLE", accounts.BOB_ID)))
    t.bot.replied("Welcome, Bob Example! Introduce yourself.")
    said = write(t, room, "one")
    with caplog.at_level(logging.INFO, logger="webex.bots"):
        t.alice.edits(said, f"{t.mention} two")
    assert "a message was changed by" in caplog.text


def test_reaction_of_bolt(play: Play) -> None:
    t = play("migration-bolt-events")
    said = write(t, t.room("Ops", t.alice), "one")
    t.alice.reacts(said, "celebrate")
    t.bot.replied_card(title="Pick a date")


def test_actions_of_bolt(play: Play) -> None:
    t = play("migration-bolt-actions")
    first, second = t.alice.says("request 7 2").messages
    t.alice.presses("Approve", first)
    t.bot.replied("Request 7 approved 👍")
    content = (second.attachments or [])[0].to_dict()["content"]
    assert [each["value"] for each in content["body"][0]["choices"]] == ["Option 2"]
    t.alice.fills(second, option="Option 2")
    t.bot.replied("You selected Option 2")


def test_commands_of_bolt(play: Play) -> None:
    t = play("migration-bolt-commands")
    t.alice.says("/echo some words")
    t.bot.replied("some words")
    t.alice.says("start process one")
    assert t.bot.texts == ["Accepted! (task: one)", "Completed! (task: one, 499999500000)"]


def test_modals_of_bolt(play: Play) -> None:
    t = play("migration-bolt-modals")
    t.alice.fills(t.alice.says("open").card, value="short")
    card = t.bot.replied_card(error="value")
    second = t.alice.fills(card, value="long enough").card
    t.bot.replied_card(title="And then?")
    t.alice.fills(second)
    t.bot.replied("Your submission of long enough was successful")


def test_middleware_of_bolt(play: Play) -> None:
    t = play("migration-bolt-middleware")
    t.alice.says("tasks")
    t.bot.replied("Write, Test")
    t.bob.says("tasks")
    t.bot.replied("Sorry, you are not registered.")
    room = t.room("Ops", t.alice)
    t.alice.says("tasks", room=room)
    assert "Write, Test" not in t.bot.texts


def test_errors_of_bolt(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    t = play("migration-bolt-errors")
    t.alice.says("divide 6 2")
    t.bot.replied("3")
    t.alice.says("divide 1 0")
    t.bot.replied("That did not work.")
    assert "failed: ZeroDivisionError" in caplog.text


def test_authorization_of_bolt(play: Play) -> None:
    t = play("migration-bolt-authorize")
    t.alice.says("whoami")
    t.bot.replied_card(title="Please sign in")
