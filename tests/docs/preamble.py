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
    "service_app": (
        (),
        "import os\nfrom webex.emulator import accounts as _accounts\nfrom webex.ids import to_hydra_id as _id\n"
        "os.environ['WEBEX_CLIENT_ID'] = _accounts.SERVICE_APP_ID\n"
        "os.environ['WEBEX_CLIENT_SECRET'] = _accounts.SERVICE_APP_SECRET\n"
        "admin_token = _accounts.ADMIN_TOKEN\norg_id = _id('ORGANIZATION', _accounts.ORG_ID)\n"
        "application_id = _id('APPLICATION', _accounts.SERVICE_APP_ID)\n",
    ),
    "consent": (
        (),
        "from urllib.parse import parse_qsl as _parse, urlsplit as _split\n"
        "def consent(login_url: str, as_: str = 'alice') -> dict[str, str]:\n"
        "    return dict(_parse(_split(cloud.sign_in(login_url, as_=as_)).query))\n",
    ),
    "django_settings": (
        (),
        "from pathlib import Path as _Path\nBASE_DIR = _Path.cwd()\n"
        "INSTALLED_APPS: list[str] = []\nMIDDLEWARE: list[str] = []\nDATABASES: dict[str, dict[str, object]] = {}\n",
    ),
    "django": (
        (),
        "import django as _django\nfrom django.conf import settings as _settings\n"
        "_settings.configure(INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes'])\n_django.setup()\n",
    ),
    "django_users": (
        (),
        "import django as _django\nfrom django.conf import settings as _settings\n"
        "_settings.configure(INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes', 'webex.web.django', "
        "'webex.web.django.users'])\n_django.setup()\n",
    ),
    "async_hooks": (
        ("client", "integration"),
        "from webex.webhooks import WebhookReceiver\n"
        "hooks = WebhookReceiver(integration, secret='a secret of a webhook')\n",
    ),
    "hooks": (
        ("storage",),
        "from webex import Integration\nfrom webex.webhooks import WebhookReceiver\n"
        "integration = Integration.from_env(storage=storage)\n"
        "hooks = WebhookReceiver(integration, secret='a secret of a webhook')\n",
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
