"""What `<!-- with: ... -->` puts before a block: each name is a few lines, after the names that it needs itself."""

from __future__ import annotations

PREAMBLES: dict[str, tuple[tuple[str, ...], str]] = {
    "client": ((), "from webex import AsyncWebex\nclient = AsyncWebex()\n"),
    "blocking_client": ((), "from webex import Webex\nclient = Webex()\n"),
    "bot": ((), "import os\nfrom webex import AsyncWebex\nbot = AsyncWebex(os.environ['WEBEX_BOT_TOKEN'])\n"),
    "room": (("client",), "room = await client.rooms.create(title='A room')\n"),
    "message": (("room",), "message = await client.messages.create(room_id=room.id, text='Hello')\n"),
    "storage": ((), "from webex.storage import SQLiteStorage\nstorage = SQLiteStorage('webex.db')\n"),
    "integration": (
        ("storage",),
        "from webex import AsyncIntegration\nintegration = AsyncIntegration.from_env(storage=storage)\n",
    ),
    "user": (
        ("consent", "integration"),
        "_login = await integration.begin_login()\n"
        "user = (await integration.finish_login(consent(_login.url, 'alice'), browser=_login.browser)).user\n",
    ),
    "consent": (
        (),
        "from urllib.parse import parse_qsl as _parse, urlsplit as _split\n"
        "def consent(login_url, as_='alice'): return dict(_parse(_split(cloud.sign_in(login_url, as_=as_)).query))\n",
    ),
    "app": ((), "from fastapi import FastAPI\napp = FastAPI()\n"),
    "auth": (
        ("integration", "app"),
        "from webex.web.fastapi import WebexAuth\nimport os\n"
        "auth = WebexAuth(integration, session_secret=os.environ['SESSION_SECRET'])\nauth.install(app)\n",
    ),
}


def preamble(names: str) -> str:
    """The lines for these names, each once."""
    order: list[str] = []

    def add(name: str) -> None:
        if name not in PREAMBLES:
            raise KeyError(f"There is no preamble {name!r}; there are {', '.join(sorted(PREAMBLES))}.")
        for needed in PREAMBLES[name][0]:
            add(needed)
        if name not in order:
            order.append(name)

    for name in names.replace(",", " ").split():
        add(name)
    return "".join(PREAMBLES[name][1] for name in order)
