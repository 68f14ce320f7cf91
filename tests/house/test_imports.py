"""What each public entry loads: a script that only names a class must not pay for a library that it never uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"aiohttp", "asyncio", "cryptography", "http.client", "joserfc", "msgspec", "pyreqwest", "ssl", "urllib3",
         "websockets", "webex.api.generated", "webex.http", "webex.realtime", "webex.storage"}  # fmt: skip
LOADS: dict[str, set[str]] = {
    "import webex": set(),
    "from webex import Webex": set(),
    "from webex import AsyncWebex": set(),
    "from webex import Integration": set(),
    "from webex import AsyncIntegration": set(),
    "from webex import Config": set(),
    "from webex import WebexError": set(),
    "from webex.webhooks import verify": {"msgspec", "webex.http"},  # typed events
    "from webex.bots import Bot, Button, Card, Context, Dialog, Form, Router": {"msgspec"},  # most are structs
}
BOTS = {"bot", "breaker", "buttons", "commands", "context", "converters", "dialogs", "forms", "middlewares", "router",
        "state", "words"}  # fmt: skip


@pytest.mark.parametrize("statement", LOADS)
def test_entry_loads_nothing_heavy(statement: str) -> None:
    assert HEAVY & _loaded_by(statement) == LOADS[statement]


def test_bots_load_their_handlers_and_msgspec_more_than_a_client() -> None:
    more = _loaded_by("from webex.bots import Bot, Button, Card, Context, Dialog, Form, Router")
    more -= _loaded_by("from webex import AsyncWebex")
    ours = {name for name in more if name.startswith("webex")}
    assert ours == {"webex.bots", "webex.cards", "webex.ids", "webex.runtime.functions"} | {
        f"webex.bots.{name}" for name in BOTS
    }
    others = {name.partition(".")[0] for name in more} - {"webex", *sys.stdlib_module_names}
    assert others <= {"msgspec", "typing_extensions"}  # msgspec loads the second where it is installed


@pytest.mark.parametrize("library", ["aiohttp", "urllib3", "pyreqwest"])
def test_client_loads_no_http_library_before_its_first_call(library: str) -> None:
    code = (
        "import sys; from webex import Integration, Webex; client = Webex('token'); client.rooms; "
        "Integration(client_id='C', client_secret='s', redirect_uri='https://example.com/cb'); "
        f"print({library!r} in sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-S", "-c", _with_path(code)], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "False"


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-S", "-c", _with_path(code)], capture_output=True, text=True, check=True)
    return set(loaded.stdout.split())


def _with_path(code: str) -> str:
    """Without `site`, whose start-up files load modules of their own."""
    return f"import sys; sys.path[:] = {sys.path!r}; {code}"
