"""A command that needs the person's own client: they sign in, and it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.web.conftest import SECRET
from webex import AsyncIntegration, AsyncWebex
from webex.bots import Bot, Context, from_data
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, BOT_ID, BOT_TOKEN
from webex.ids import public_id
from webex.storage import MemoryStorage
from webex.web import WebRequest, WebResponse
from webex.web.core import SignIn

SITE = "http://127.0.0.1:8000"


class Scene:
    """A bot of an integration, its sign-in, and Alice, who has not signed in."""

    def __init__(self, cloud: Cloud, alice: AsyncWebex, **options: Any) -> None:
        self.cloud, self.alice = cloud, alice
        self.integration = AsyncIntegration(
            storage=MemoryStorage(),
            emulator_url=cloud.url,
            client_id=cloud.env["WEBEX_CLIENT_ID"],
            client_secret=cloud.env["WEBEX_CLIENT_SECRET"],
            redirect_uri=f"{SITE}/auth/callback",
            scope="openid email profile spark:all spark:kms",
        )
        self.bot = Bot(BOT_TOKEN, integration=self.integration, sign_in_url=f"{SITE}/auth/login", **options)
        self.sign_in = SignIn(self.integration, session_secret=SECRET, on_success=self.bot.signed_in)
        self.seen: list[Any] = []

        @self.bot.command("mine")
        async def mine(ctx: Context) -> str:
            me = await ctx.user_client.people.me()
            self.seen.append((ctx.resumed, ctx.redelivered))
            return f"you are {me.display_name}"

    async def says(self, text: str) -> None:
        sent = await self.alice.messages.create(to_person_id=public_id("PEOPLE", BOT_ID), text=text)
        message = await self.bot.client.messages.get(sent.id)
        await self.bot.handle(from_data("messages", "created", message, client=self.bot.client))

    async def texts(self) -> list[str]:
        found = self.alice.messages.list_direct(person_id=public_id("PEOPLE", BOT_ID))
        return [message.text or "" async for message in found]

    async def link(self) -> str:
        """Return the link of the newest card."""
        async for message in self.alice.messages.list_direct(person_id=public_id("PEOPLE", BOT_ID)):
            for attachment in message.attachments or ():
                content: Any = attachment.to_dict()["content"]
                return str(content["actions"][0]["url"])
        raise AssertionError("there is no card")

    async def follow(self, link: str, who: str) -> WebResponse:
        """Follow a link to the sign-in in a browser, and sign in."""
        parts = urlsplit(link)
        begun = await self.sign_in.login(request(parts.path, parts.query))
        cookies = {cookie.name: cookie.value for cookie in begun.cookies}
        back = urlsplit(await asyncio.to_thread(self.cloud.sign_in, begun.headers["location"], as_=who))
        return await self.sign_in.callback(request(back.path, back.query, cookies))

    async def handled(self) -> None:
        await self.bot.wait_until_idle()


def request(path: str, query: str, cookies: dict[str, str] | None = None) -> WebRequest:
    headers = {"accept": "text/html", "sec-fetch-mode": "navigate"}
    return WebRequest("GET", "http", "127.0.0.1:8000", path, query, headers, cookies or {})


@pytest.fixture
def play(webex_cloud: Cloud) -> Callable[..., None]:
    def run(act: Callable[[Scene], Awaitable[None]], **options: Any) -> None:
        async def main() -> None:
            async with AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
                scene = Scene(webex_cloud, alice, **options)
                async with scene.integration:
                    try:
                        await act(scene)
                    finally:
                        await scene.bot.aclose()

        asyncio.run(asyncio.wait_for(main(), 60))

    return run


def test_command_goes_on_after_the_sign_in(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.says("mine")
        assert scene.seen == []
        answer = await scene.follow(await scene.link(), "alice")
        assert (answer.status, b"You are signed in" in answer.body) == (200, True)
        assert len(answer.cookies) == 1  # the session of the app
        await scene.handled()
        assert scene.seen == [(True, True)]
        texts = await scene.texts()
        assert texts[0] == "you are Alice Example"
        assert not any("Please sign in" in text for text in texts)  # the card was deleted
        await scene.says("mine")
        assert scene.seen[1:] == [(False, False)]

    play(act, resume=True)


def test_link_is_for_its_person_alone_and_does_its_work_once(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.says("mine")
        link = await scene.link()
        other = await scene.follow(link, "bob")
        assert other.status == 403
        assert b"bob@example.com" in other.body
        assert b"alice@example.com" in other.body
        await scene.handled()
        assert scene.seen == []
        for _ in range(2):
            assert (await scene.follow(link, "alice")).status == 200
            await scene.handled()
        assert scene.seen == [(True, True)]

    play(act, resume=True)


def test_link_that_is_too_old_or_forged_resumes_nothing(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.says("mine")
        link = await scene.link()
        back = parse_qs(urlsplit(link).query)["return_to"][0]
        forged = f"{SITE}/auth/login?" + urlencode({"return_to": back[:-2] + "AA"})
        assert (await scene.follow(forged, "alice")).status == 400
        scene.bot.now = lambda: scene.cloud.now() + 601
        assert (await scene.follow(link, "alice")).status == 400
        await scene.handled()
        assert scene.seen == []
        plain = await scene.follow(f"{SITE}/auth/login?return_to=/inbox", "alice")
        assert (plain.status, plain.headers["location"]) == (303, "/inbox")

    play(act, resume=True)


def test_bot_that_resumes_nothing_asks_to_be_asked_again(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.says("mine")
        assert await scene.link() == f"{SITE}/auth/login"
        answer = await scene.follow(await scene.link(), "alice")
        assert answer.status == 303
        await scene.says("mine")
        assert scene.seen == [(False, False)]

    play(act)
