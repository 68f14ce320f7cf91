"""The context of a plain `def` handler, which runs in a worker thread: the same names, and calls that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import logging

    from webex.bots.bot import Bot
    from webex.bots.context import Context
    from webex.bots.dialogs import Dialog
    from webex.bots.state import Scope, State
    from webex.client import Webex
    from webex.models import Message
    from webex.realtime.event import Actor

T = TypeVar("T")


class BlockingContext:
    """What a plain handler is given: `Context` with calls that wait, and `client` as a `Webex`."""

    def __init__(self, context: Context) -> None:
        self._context, self._loop = context, asyncio.get_running_loop()
        self.bot: Bot = context.bot
        self.data: dict[str, Any] = context.data
        self.person: Actor = context.person
        self.message: Message | None = context.message
        self.room_id: str = context.room_id
        self.room_type: str = context.room_type
        self.text: str = context.text
        self.mentions: list[str] = context.mentions
        self.files: list[Any] = context.files
        self.key: str = context.key
        self.redelivered: bool = context.redelivered
        self.log: logging.LoggerAdapter[logging.Logger] = context.log

    @property
    def client(self) -> Webex:
        """The client of the bot, in blocking style."""
        return self._run(self.bot.blocking_clients.of(self._context.client, self._context))

    @property
    def user_client(self) -> Webex:
        """The person's own view, in blocking style; `NotSignedInError` when they are not signed in."""
        return self._run(self.bot.blocking_clients.of(self._context.user_client, self._context))

    @property
    def state(self) -> BlockingState:
        """What the bot remembers: `.room`, `.person`, `.bot`."""
        return BlockingState(self._context.state, self._run)

    def reply(
        self,
        what: Any,
        *,
        thread: bool | None = None,
        private: bool = False,
        files: Iterable[Any] | None = None,
        fallback: str | None = None,
    ) -> Message:
        """Answer; see `Context.reply`."""
        return self._run(self._context.reply(what, thread=thread, private=private, files=files, fallback=fallback))

    def replace(self, what: Any, *, fallback: str | None = None) -> Message:
        """Replace the card that was submitted; see `Context.replace`."""
        return self._run(self._context.replace(what, fallback=fallback))

    def ask(
        self, what: Any, *, then: Callable[..., Any], timeout: timedelta | None = None, private: bool = False
    ) -> None:
        """Ask within a dialog; see `Context.ask`."""
        self._run(self._context.ask(what, then=then, timeout=timeout, private=private))

    def begin(self, dialog: Dialog) -> None:
        """Begin a dialog here."""
        self._run(self._context.begin(dialog))

    def typing(self) -> None:
        """Show that the bot is typing, until it answers."""
        self._run(self._context.typing())

    def email(self) -> str | None:
        """Return the person's e-mail address."""
        return self._run(self._context.email())

    @contextmanager
    def once(self, name: str) -> Iterator[bool]:
        """Tell whether this event is here for the first time; see `Context.once`."""
        mark = self._context.once(name)
        first = self._run(_entered(mark))
        try:
            yield first
        except BaseException as error:
            if not self._run(_left(mark, error)):
                raise
        else:
            self._run(_left(mark, None))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def __repr__(self) -> str:
        return f"<BlockingContext {self.key}>"


async def _entered(manager: AbstractAsyncContextManager[T]) -> T:
    return await manager.__aenter__()


async def _left(manager: AbstractAsyncContextManager[Any], error: BaseException | None) -> bool | None:
    try:
        return await manager.__aexit__(type(error) if error is not None else None, error, None)
    except BaseException as raised:
        if raised is error:
            return False
        raise


class BlockingState:
    """`ctx.state.room`, `ctx.state.person` and `ctx.state.bot` for plain handlers."""

    def __init__(self, state: State, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self.bot: BlockingScope = BlockingScope(state.bot, run)
        self.room: BlockingScope = BlockingScope(state.room, run)
        self.person: BlockingScope = BlockingScope(state.person, run)


class BlockingScope:
    """State of one room, person or bot for plain handlers."""

    def __init__(self, scope: Scope, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._scope, self._run = scope, run

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or `default`."""
        return self._run(self._scope.get(name, default))

    def put(self, name: str, value: Any, *, expires_in: float | None = None) -> None:
        """Store a value."""
        self._run(self._scope.put(name, value, expires_in=expires_in))

    def update(self, name: str, change: Callable[[Any], Any], *, default: Any = None) -> Any:
        """Store `change(value)`, whatever others do meanwhile; return it."""
        return self._run(self._scope.update(name, change, default=default))

    def delete(self, name: str) -> None:
        """Remove a value."""
        self._run(self._scope.delete(name))
