"""wxc-sdk 1.41.0: its asynchronous client over aiohttp, with as many requests allowed at once as the case makes."""

from __future__ import annotations

import sys
from typing import Any

from lines import Timer, concurrently, measure_views, serve
from wxc_sdk.as_api import AsWebexSimpleApi
from wxc_sdk.as_rest import AsRestSession
from wxc_sdk.rest import RestSession

AsRestSession.BASE = RestSession.BASE = f"{sys.argv[1]}/v1"  # there is no argument for it
clients: dict[int, AsWebexSimpleApi] = {}


async def client(at_once: int = 1) -> AsWebexSimpleApi:
    if at_once not in clients:
        clients[at_once] = AsWebexSimpleApi(tokens="user0_A52D_0", concurrent_requests=at_once)
        await clients[at_once].people.me()
    return clients[at_once]


async def view(n: int) -> dict[str, Any]:
    made: list[AsWebexSimpleApi] = []

    def make() -> AsWebexSimpleApi:
        made.append(AsWebexSimpleApi(tokens="user0_A52D_0"))
        return made[-1]

    result = await measure_views(make, n)
    for each in made:
        await each.close()
    return result


async def sequential(n: int) -> dict[str, Any]:
    api = await client()
    with Timer() as timer:
        for _ in range(n):
            await api.people.me()
    return {"seconds": timer.seconds}


async def concurrent(n: int, at_once: int) -> dict[str, Any]:
    return await concurrently((await client(at_once)).people.me, n, at_once)


async def listing(size: int) -> dict[str, Any]:
    api = await client()
    with Timer() as timer:
        count = 0
        async for _ in api.rooms.list_gen(max=size):
            count += 1
    return {"seconds": timer.seconds, "count": count}


async def close() -> None:
    for each in clients.values():
        await each.close()


serve({"view": view, "sequential": sequential, "concurrent": concurrent, "list": listing, "close": close})
