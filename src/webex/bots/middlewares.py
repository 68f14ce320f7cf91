"""The functions around a handler: those of its routers, and of the bot around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.bots.context import Context
    from webex.bots.router import Router


def around(ctx: Context, routers: Sequence[Router]) -> list[Router]:
    """Return the routers whose middlewares and error handlers count, the innermost first: the bot is the outermost."""
    return [*routers] if ctx.bot in routers else [*routers, ctx.bot]


async def within_middlewares(ctx: Context, routers: Sequence[Router], call: Callable[[], Awaitable[Any]]) -> Any:
    """Make a call within the middlewares of these routers and of the bot, and return what they return."""

    async def innermost(_: Context) -> Any:
        return await call()

    chain: Callable[[Context], Awaitable[Any]] = innermost
    for router in around(ctx, routers):
        for middleware in reversed(router.middlewares):
            chain = _around(middleware, chain)
    return await chain(ctx)


def _around(
    middleware: Callable[..., Awaitable[Any]], inner: Callable[[Context], Awaitable[Any]]
) -> Callable[[Context], Awaitable[Any]]:
    async def call(ctx: Context) -> Any:
        return await middleware(ctx, inner)

    return call
