"""pyreqwest alone: one request and its JSON, nothing else. The floor under everything that is built on it."""

from __future__ import annotations

import sys
from typing import Any

from lines import Timer, concurrently, serve
from pyreqwest.client import ClientBuilder, SyncClientBuilder

URL = f"{sys.argv[1]}/v1/people/me"
HEADERS = {"Authorization": "Bearer user0_A52D_0", "Accept": "application/json"}
blocking = SyncClientBuilder().default_headers(HEADERS).build()
client = ClientBuilder().default_headers(HEADERS).build()


async def me() -> Any:
    return await (await client.get(URL).build().send()).json()


def sequential(n: int) -> dict[str, Any]:
    with Timer() as timer:
        for _ in range(n):
            blocking.get(URL).build().send().json()
    return {"seconds": timer.seconds}


async def async_sequential(n: int) -> dict[str, Any]:
    with Timer() as timer:
        for _ in range(n):
            await me()
    return {"seconds": timer.seconds}


serve(
    {
        "sequential": sequential,
        "async_sequential": async_sequential,
        "concurrent": lambda n, at_once: concurrently(me, n, at_once),
    }
)
