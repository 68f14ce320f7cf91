"""Write the files of `v0_1_0` as version 0.1.0 wrote them.

Run it with the Python of a checkout of commit 0160b3a: `PYTHON tests/compat/make_0_1_0.py FOLDER`. It was run once. The
tokens, keys and cookies in `v0_1_0` are an emulator's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webex import AsyncIntegration, AsyncWebex
from webex.emulator import Cloud, Emulator
from webex.storage import EncryptedStorage, SQLiteStorage
from webex.web.core import SignIn
from webex.web.messages import WebRequest, WebResponse

PORT = 18437  # what is stored names the emulator's address; below the ports that systems give out
HOST = "127.0.0.1:18438"  # of an app that nobody has to serve
SECRET = "a session secret of thirty-two bytes or more"
HTML = {"accept": "text/html"}


async def write(cloud: Cloud, storage: Any) -> dict[str, Any]:
    """Sign users in, listen, and leave a sign-in half done."""
    settings = {
        "emulator_url": cloud.url,
        "client_id": cloud.env["WEBEX_CLIENT_ID"],
        "client_secret": cloud.env["WEBEX_CLIENT_SECRET"],
        "redirect_uri": f"http://{HOST}/auth/callback",
        "scope": "openid email profile spark:all spark:kms",
    }
    async with AsyncIntegration(storage=storage, **settings) as integration:
        sign_in = SignIn(integration, session_secret=SECRET)
        begun = await sign_in.login(request("/auth/login", "return_to=/inbox"))
        back = urlsplit(cloud.sign_in(begun.headers["location"], as_="alice"))
        done = await sign_in.callback(request(back.path, back.query, cookies(begun)))
        pending = await sign_in.login(request("/auth/login", "return_to=/later"))

        login = await integration.begin_login()
        bob = (await integration.finish_login(cloud.sign_in(login.url, as_="bob"), browser=login.browser)).user.key

        login = await integration.begin_login(user_key="refused")
        await integration.finish_login(cloud.sign_in(login.url, as_="admin"), browser=login.browser)
        cloud.revoke_consent("admin")
        try:
            await integration.user("refused").people.me()
        except Exception as error:
            refused = type(error).__name__

        alice = AsyncWebex(cloud.token_for("alice"), emulator_url=cloud.url)
        room = await alice.rooms.create(title="A room")
        await alice.memberships.create(room_id=str(room.id), person_email="bob@example.com")
        async with integration.user(bob).messages.listen() as events:
            for text in ("one", "two", "three"):
                await alice.messages.create(room_id=str(room.id), text=text)
            taken = [(await anext(events)).data.text for _ in range(2)]  # the second one is still in hand
        await alice.messages.create(room_id=str(room.id), text="four")
        await alice.aclose()

    async with AsyncWebex(
        {"access_token": cloud.token_for("bob"), "refresh_token": "one-that-the-cloud-does-not-know"},
        storage=storage,
        **settings,
    ) as alone:
        await alone.people.me()

    return {
        "alice": (await sign_in.sessions.find(session_id(sign_in, done))).user_key,  # type: ignore[union-attr]  # it was begun above
        "bob": bob,
        "refused": refused,
        "taken": taken,
        "session_cookies": cookies(done),
        "login_cookies": cookies(pending),
        "login_url": pending.headers["location"],
    }


def request(path: str, query: str = "", sent: dict[str, str] | None = None) -> WebRequest:
    return WebRequest("GET", "http", HOST, path, query, HTML, sent or {})


def cookies(answer: WebResponse) -> dict[str, str]:
    return {cookie.name: cookie.value for cookie in answer.cookies if cookie.max_age}


def session_id(sign_in: SignIn, answer: WebResponse) -> str:
    return str(sign_in._session_id(request("/", sent=cookies(answer))))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    key = EncryptedStorage.generate_key()
    made: dict[str, Any] = {"made_at": time.time(), "port": PORT, "host": HOST, "secret": SECRET, "key": key}
    for name in ("plain", "encrypted"):
        with Emulator(port=PORT) as cloud:
            file = SQLiteStorage(folder / f"{name}.sqlite")
            storage = EncryptedStorage(file, [key]) if name == "encrypted" else file
            made[name] = asyncio.run(write(cloud, storage))
            cloud.settle()
            cloud.save(folder / f"{name}.cloud")
            file.close()
    (folder / "made.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
