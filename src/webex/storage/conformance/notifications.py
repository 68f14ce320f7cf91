"""What is told of changes: who listens is woken, and who does not is not kept up."""

from __future__ import annotations

import unittest
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

from webex.errors import StorageError
from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.harness import BrokenError, Harness
from webex.storage.protocol import NoNotificationsError
from webex.storage.wrappers import settle

KEYS = ["key", "client/a%20b/key", "clé:\x01 \U0001f511"]
PATIENCE = 60.0  # seconds


@behaviour("telling of a change to which no one listens is no error, in either style", "notifications")
async def tells_no_one(harness: Harness) -> None:
    binding = harness.bind()
    for key in KEYS:
        await settle(binding.notify(key))


@behaviour(
    "who listens is told each key of the namespace, in order, and none of another one",
    "notifications",
    event_loop=True,
)
async def tells_who_listens(harness: Harness) -> None:
    binding = harness.bind()
    async with _listening(binding) as one, _listening(binding) as other:
        await settle(harness.bind("elsewhere").notify("of another namespace"))
        for key in KEYS:
            await settle(binding.notify(key))
        for told in (one, other):
            found = [await _next(told) for _ in KEYS]
            harness.expect(found == KEYS, f"notifications() gives {found!r} where {KEYS!r} was told")
    await settle(binding.notify("too late"))


@behaviour(
    "who listens while the connections are cut gets a StorageError, or None and then goes on",
    "notifications",
    event_loop=True,
    cut=True,
)
async def tells_of_a_cut(harness: Harness) -> None:
    binding = harness.bind()
    assert harness.cut is not None
    async with _listening(binding) as told:
        await settle(harness.cut())
        try:
            found = await _next(told)
        except StorageError:
            found = None
        harness.expect(found is None, f"notifications() gives {found!r}, which was not told")
    async with _listening(binding) as told:
        while True:
            try:
                await settle(binding.notify("key"))
            except StorageError:  # of a connection that was cut
                continue
            break
        harness.expect(await _next(told) == "key", "notifications() does not give what is told after a cut")


@asynccontextmanager
async def _listening(binding: Any) -> AsyncIterator[AsyncGenerator[str | None, None]]:
    """Listen, from when it has begun."""
    async with aclosing(cast("AsyncGenerator[str | None, None]", binding.notifications())) as told:
        try:
            first = await _next(told)
        except NoNotificationsError as error:
            raise unittest.SkipTest(str(error)) from None
        if first is not None:
            raise BrokenError(f"notifications() begins with {first!r}; it has to begin with None, when it listens")
        yield told


async def _next(told: AsyncGenerator[str | None, None]) -> str | None:
    import asyncio

    try:
        async with asyncio.timeout(PATIENCE):
            return await anext(told)
    except (StopAsyncIteration, TimeoutError):
        raise BrokenError("notifications() does not give what was told") from None
