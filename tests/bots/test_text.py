"""What was said to a bot: its own mention is found by id, wherever it stands, and nothing raises."""

from __future__ import annotations

from html import escape, unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webex.bots.text import Said, read_text
from webex.ids import public_id
from webex.models import Person
from webex.models.base import from_data

BOT = "b0700000-0000-4000-8000-000000000005"
BOB = "b0b00000-0000-4000-8000-000000000002"
BOT_ID = public_id("PEOPLE", BOT)


def mention(person: str, name: str) -> str:
    return f'<spark-mention data-object-type="person" data-object-id="{person}">{name}</spark-mention>'


def read(text: str | None, html: str | None, mentioned: list[str] | None = None) -> Said:
    return read_text(text, html, mentioned, BOT_ID)


@pytest.mark.parametrize("own", [BOT, BOT.upper(), BOT_ID], ids=["uuid", "upper", "public"])
@pytest.mark.parametrize("tag", ["spark-mention", "webex-mention"])
@pytest.mark.parametrize(
    ("written", "html", "text"),
    [
        ("My (Bot deploy web", "{} deploy web", "deploy web"),
        ("My (Bot deploy web", "<p>{} deploy web</p>", "deploy web"),
        ("deploy My (Bot web", "deploy {} web", "deploy web"),
        ("deploy web My (Bot", "deploy web {}", "deploy web"),
        ("My (Bot", "<p>{}</p>", ""),
        ("My (Bot\none\ntwo", "<p>{}</p><p>one<br/>two</p>", "one\ntwo"),
        ("My (Bot a <b> & c", "{} a &lt;b&gt; &amp; c", "a <b> & c"),
        ("My (BotMy (Bot twice", "{}{} twice", "twice"),
        ("My (Bot, deploy web", "{}, deploy web", "deploy web"),
        ("My (Bot: deploy web", "{}: deploy web", "deploy web"),
    ],
    ids=["first", "paragraph", "middle", "last", "alone", "lines", "entities", "twice", "comma", "colon"],
)
def test_own_mention_is_removed(written: str, html: str, text: str, tag: str, own: str) -> None:
    said = read(written, html.format(*[mention(own, "My (Bot")] * 2).replace("spark-mention", tag))
    assert said.text == text
    assert said.addressed


def test_mention_without_html_is_found_by_who_is_mentioned() -> None:
    bot: Any = from_data(Person, {"id": BOT_ID, "displayName": "My Bot"})
    said = read_text("My Bot, tell Bob", None, [BOT_ID, BOB], bot)
    assert (said.text, said.addressed) == ("tell Bob", True)
    assert [each.id for each in said.mentions] == [BOB]
    assert not read_text("My Bot, tell Bob", None, [BOB], bot).addressed


def test_mentions_of_others_stay_and_are_one_word() -> None:
    html = f"{mention(BOT, '<b>Bot</b>')} tell {mention(BOB, 'Bob van Example')}, hello {mention(BOT, 'Bot')} you"
    said = read("Bot tell Bob van Example, hello Bot you", html, [BOT_ID, public_id("PEOPLE", BOB)])
    assert said.text == "tell Bob van Example, hello you"
    words = said.words()
    assert [word.text for word in words] == ["tell", "Bob van Example,", "hello", "you"]
    assert words[1].mention is not None
    assert words[1].mention.id == BOB
    assert len(said.mentions) == 1


def test_text_without_html_is_unchanged() -> None:
    assert read("Bot deploy", None).text == "Bot deploy"
    assert read(None, None).text == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('say "two words" x', ["say", "two words", "x"]),
        ("say “two words” x", ["say", "two words", "x"]),
        ("don't split", ["don't", "split"]),
        ('an "open quote', ["an", '"open', "quote"]),
        ("x —force –all", ["x", "--force", "--all"]),
        ("a — b", ["a", "—", "b"]),
        ("''", [""]),
        ("  ", []),
    ],
    ids=["quotes", "typographic", "apostrophe", "unbalanced", "dashes", "a dash", "empty", "nothing"],
)
def test_words(text: str, words: list[str]) -> None:
    assert [word.text for word in read(text, None).words()] == words


HTML = st.recursive(
    st.text().map(escape)
    | st.text()
    | st.sampled_from(["<!--", "<![CDATA[", "</", "<spark-mention", "&#xe000;0&#xe001;"]),
    lambda inner: (
        st.lists(inner, max_size=4).map("".join)
        | inner.map(lambda text: f"<p>{text}</p>")
        | inner.map(lambda text: mention(BOB, text))
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(before=HTML, after=HTML)
def test_nothing_raises_and_no_private_mark_is_left(before: str, after: str) -> None:
    html = before + mention(BOT, "My Bot") + after
    said = read(unescape(html), html, [BOB])
    assert said.text is not None
    assert "\ue000" not in said.text
    assert all("\ue000" not in word.text for word in said.words())


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    before=st.text(alphabet="abc <>&\n", max_size=20).map(escape),
    after=st.text(alphabet="abc <>&\n", max_size=20).map(escape),
)
def test_mention_never_stays(before: str, after: str) -> None:
    html = f"<p>{before}{mention(BOT, 'MY-BOT')}{after}</p>"
    said = read(f"{unescape(before)}MY-BOT{unescape(after)}", html)
    assert "MY-BOT" not in said.text
    assert said.addressed
