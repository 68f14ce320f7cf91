"""aiohttp alone: one request and its JSON, nothing else. The floor under the event-loop style."""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
from lines import Timer, concurrently, serve

URL = f"{sys.argv[1]}/v1/people/me"
HEADERS = {"Authorization": "Bearer user0_A52D_0", "Accept": "application/json"}
made: list[aiohttp.ClientSession] = []


async def me() -> Any:
    if not made:
        made.append(aiohttp.ClientSession(headers=HEADERS, cookie_jar=aiohttp.DummyCookieJar()))
    async with made[0].get(URL) as response:
        return await response.json()


async def async_sequential(n: int) -> dict[str, Any]:
    with Timer() as timer:
        for _ in range(n):
            await me()
    return {"seconds": timer.seconds}


async def close() -> None:
    for session in made:
        await session.close()


serve(
    {
        "async_sequential": async_sequential,
        "concurrent": lambda n, at_once: concurrently(me, n, at_once),
        "close": close,
    }
)
