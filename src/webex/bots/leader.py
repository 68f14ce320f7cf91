"""One worker listens, by a lease of the storage; another one takes over when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from webex.errors import StorageError

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage, Held

_logger = logging.getLogger("webex.bots")


@asynccontextmanager
async def leading(
    storage: AsyncAppStorage, name: str, stopping: asyncio.Event, ttl: float
) -> AsyncIterator[asyncio.Event]:
    """Wait until this worker leads, or is stopped; give the event that is set when it no longer does.

    `ttl` is the seconds that the lease lasts without renewal; 0 for no lease.
    """
    lost = asyncio.Event()
    if not ttl:
        yield lost
        return
    lease: Held | None = None
    told = False
    while lease is None and not stopping.is_set():
        lease = await storage.hold("bot-leader", name, ttl)
        if lease is None:
            if not told:
                _logger.info("another worker listens; this one waits to take over")
                told = True
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), ttl / 10)
    renewing = asyncio.ensure_future(_renew(lease, lost, ttl)) if lease is not None else None
    try:
        yield lost
    finally:
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        if lease is not None:
            with suppress(StorageError):
                await lease.release()


@asynccontextmanager
async def leased(storage: AsyncAppStorage, namespace: str, name: str, ttl: float) -> AsyncIterator[bool]:
    """Hold a lease as long as the body takes, renewed; give False when another worker holds it."""
    lease = await storage.hold(namespace, name, ttl)
    if lease is None:
        yield False
        return
    renewing = asyncio.ensure_future(_renew_quietly(lease, ttl))
    try:
        yield True
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with suppress(StorageError):  # it ends by itself
            await lease.release()


async def _renew_quietly(lease: Held, ttl: float) -> None:
    renewed = True
    while renewed:
        await asyncio.sleep(ttl / 3)
        with suppress(StorageError):
            renewed = await lease.renew(ttl)


async def _renew(lease: Held, lost: asyncio.Event, ttl: float) -> None:
    failures = 0
    while True:
        await asyncio.sleep(ttl / 3)
        try:
            if not await lease.renew(ttl):
                break
            failures = 0
        except StorageError as error:
            failures += 1
            _logger.warning("the lease of the listening worker could not be renewed (%s)", type(error).__name__)
            if failures >= 2:
                break
    _logger.warning("this worker no longer leads: it stops listening")
    lost.set()
