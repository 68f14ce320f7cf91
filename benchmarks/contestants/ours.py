"""webex, both styles. In each process that measures, one integration, and its users' tokens in memory."""

from __future__ import annotations

import gc
import itertools
import sys
import tracemalloc
from typing import Any

from lines import Timer, concurrently, in_threads, measure_views, resident_bytes, serve

from webex import AsyncIntegration, AsyncWebex, Integration, Webex
from webex.storage import MemoryStorage

URL = sys.argv[1]
TOKEN = "user0_A52D_0"
# Not `emulator_url`: with it the client also follows the emulator's clock, which production never does.
CLOUD: dict[str, Any] = {
    "service_urls": {"hydra": f"{URL}/v1"},
    "token_url": f"{URL}/v1/access_token",
    "authorize_url": f"{URL}/v1/authorize",
}
SETTINGS: dict[str, Any] = {
    "client_id": "C0",
    "client_secret": "s",
    "redirect_uri": "http://127.0.0.1:8000/oauth/redirect",
    "scope": "spark:all spark:kms spark:people_read",
    **CLOUD,
}
integration = AsyncIntegration(storage=MemoryStorage(), **SETTINGS)
client = AsyncWebex(TOKEN, **CLOUD)
blocking = Webex(TOKEN, **CLOUD)


async def sign_in(app: AsyncIntegration, number: int) -> str:
    """Sign a person in as a browser would; the sink's code names who it is."""
    from urllib.parse import parse_qs, urlsplit

    login = await app.begin_login()
    state = parse_qs(urlsplit(login.url).query)["state"][0]
    signed_in = await app.finish_login({"code": f"user{number}", "state": state}, browser=login.browser)
    return signed_in.user.key


async def view(n: int) -> dict[str, Any]:
    key = await sign_in(integration, 1)

    async def make() -> AsyncWebex:
        return await integration.user(key).ready()

    return await measure_views(make, n)


async def view_alone(n: int) -> dict[str, Any]:
    key = await sign_in(integration, 1)
    return await measure_views(lambda: integration.user(key), n)


def sequential(n: int) -> dict[str, Any]:
    with Timer() as timer:
        for _ in range(n):
            blocking.people.me()
    return {"seconds": timer.seconds}


async def async_sequential(n: int) -> dict[str, Any]:
    with Timer() as timer:
        for _ in range(n):
            await client.people.me()
    return {"seconds": timer.seconds}


# Equal calls of one token at the same time share one request, so each call at once is another person's.
TOKENS = [f"user{number}_A52D_0" for number in range(1000)]
blocking_app = Integration(storage=MemoryStorage(), **SETTINGS)
people = itertools.cycle([integration.client_for(token) for token in TOKENS])
blocking_people = itertools.cycle([blocking_app.client_for(token) for token in TOKENS])


def threads(n: int, at_once: int) -> dict[str, Any]:
    def call() -> Any:
        return next(blocking_people).people.me()

    return in_threads(call, n, at_once)


async def concurrent(n: int, at_once: int) -> dict[str, Any]:
    def call() -> Any:
        return next(people).people.me()

    return await concurrently(call, n, at_once)


async def listing(size: int) -> dict[str, Any]:
    with Timer() as timer:
        count = 0
        async for _ in client.rooms.list(page_size=size):
            count += 1
    return {"seconds": timer.seconds, "count": count}


def blocking_listing(size: int) -> dict[str, Any]:
    with Timer() as timer:
        count = sum(1 for _ in blocking.rooms.list(page_size=size))
    return {"seconds": timer.seconds, "count": count}


async def users(n: int) -> dict[str, Any]:
    """`n` people sign in, and each one's view makes a call; all views stay alive."""
    async with AsyncIntegration(storage=MemoryStorage(), **SETTINGS) as app:
        keys = [await sign_in(app, number) for number in range(n // 100)]
        await app.user(keys[0]).people.me()
        with Timer() as signing:
            for number in range(n // 100, 2 * (n // 100)):
                await sign_in(app, number)
        views = [app.user(key) for key in keys]
        with Timer() as calling:
            for person in views:
                await person.people.me()

        resident = resident_bytes()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        keys = [await sign_in(app, number) for number in range(n, 2 * n)]
        gc.collect()
        signed_in, _ = tracemalloc.get_traced_memory()
        views = [app.user(key) for key in keys]
        for person in views:
            await person.people.me()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(set(keys)) == n
        return {
            "users": n,
            "signed_in_bytes": (signed_in - before) / n,
            "each_bytes": (after - before) / n,
            "sign_in_seconds": signing.seconds / (n // 100),
            "call_seconds": calling.seconds / (n // 100),
            "resident_bytes": (resident_bytes() - resident) / n,
        }


async def close() -> None:
    await client.aclose()
    await integration.aclose()
    blocking.close()


serve(
    {
        "view": view,
        "view_alone": view_alone,
        "sequential": sequential,
        "async_sequential": async_sequential,
        "threads": threads,
        "concurrent": concurrent,
        "list": listing,
        "blocking_list": blocking_listing,
        "users": users,
        "close": close,
    }
)
