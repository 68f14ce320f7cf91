"""What every example app shares: its settings, from the environment, and a storage that a test can take away.

The pages of every app are the same: `/` for everyone; `/me` and `/rooms/…`, which need a user and say who it is;
`/who`, which does not; `/stream`, which sends a line, waits for the file `continue` and sends another; `/who` by POST,
which only a page of the app may ask for.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from webex import AsyncIntegration, Integration
from webex.storage import SQLiteStorage

FOLDER = Path(os.environ["APP_FOLDER"])
SECRETS = os.environ["SESSION_SECRETS"].split(",")
PREFIX = os.environ.get("APP_PREFIX", "")
OPTIONS: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"]}


class Storage(SQLiteStorage):
    """SQLite, which fails while there is a file named `down`."""

    def bind(self, namespace: str) -> Any:
        return Binding(super().bind(namespace))

    def bind_nonwaiting(self, namespace: str) -> Any:
        return Binding(super().bind_nonwaiting(namespace))


class Binding:
    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._binding, name)
        if not callable(found):
            return found

        def unless_down(*args: Any, **options: Any) -> Any:
            if (FOLDER / "down").exists():
                raise OSError("the disk is gone")
            return found(*args, **options)

        return unless_down


storage = Storage(FOLDER / "app.db")


def integration() -> Integration:
    return Integration.from_env(storage=storage)


def async_integration() -> AsyncIntegration:
    return AsyncIntegration.from_env(storage=storage)


def may_continue() -> bool:
    return (FOLDER / "continue").exists()


def pieces() -> Any:
    """The stream, for apps in blocking style."""
    yield b"first\n"
    for _ in range(1000):
        if may_continue():
            yield b"last\n"
            return
        time.sleep(0.01)
    yield b"the first line was not read\n"


async def async_pieces() -> Any:
    """The stream, for apps in event-loop style."""
    import asyncio

    yield b"first\n"
    for _ in range(1000):
        if may_continue():
            yield b"last\n"
            return
        await asyncio.sleep(0.01)
    yield b"the first line was not read\n"


def mounted_wsgi(app: Any) -> Any:
    """Take the prefix away and say so in SCRIPT_NAME, as servers and routers do that mount an app below a path."""

    def mounted(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if PREFIX and (path + "/").startswith(PREFIX + "/"):
            environ |= {"SCRIPT_NAME": PREFIX, "PATH_INFO": path.removeprefix(PREFIX)}
        return app(environ, start_response)

    return mounted


def mounted_asgi(app: Any) -> Any:
    """Say the prefix in root_path, which the path still begins with (as the ASGI specification has it)."""

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        if PREFIX and (scope.get("path", "") + "/").startswith(PREFIX + "/"):
            scope = {**scope, "root_path": PREFIX}
        await app(scope, receive, send)

    return mounted
