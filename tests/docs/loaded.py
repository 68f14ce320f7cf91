"""Imports what most code blocks of the docs use, once, for the process that each block's own is forked from."""

from __future__ import annotations

import importlib
import pkgutil
import threading

_USED = (
    *("aiohttp", "cryptography.hazmat.primitives.ciphers.aead", "fastapi", "joserfc.jwt", "urllib3", "uvicorn"),
    *("websockets.asyncio.client", "tests.docs.run_block"),
)
_ROOMS = ("api", "auth", "emulator", "encryption", "errors", "http", "models", "realtime", "services")

for name in _USED:
    importlib.import_module(name)
for room in _ROOMS:
    package = importlib.import_module(f"webex.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

assert threading.active_count() == 1, "a fork would lose the others"
