"""Keep one connection or pool for each process (`PerProcess`) or for each process and event loop (`PerLoop`).

What one event loop opened can't be used by another, and what was open before a `fork()` belongs to the parent. So an
adapter keeps neither a connection nor a pool itself: it asks for it at each call, and it is opened when there is none
yet. All methods are safe for several threads and loops at once.

What a child inherits is kept, and never touched: closing it would send a farewell, or take the parent's socket out of
the `epoll` that both share.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from webex.storage.forks import survives_forks
from webex.storage.wrappers import settle

if TYPE_CHECKING:
    import asyncio

__all__ = ["PerLoop", "PerProcess"]

T = TypeVar("T")

_inherited: list[object] = []


class PerProcess(Generic[T]):
    """One `T` for this process, opened by `open_one` at the first `get` and closed by `close_one`."""

    def __init__(self, open_one: Callable[[], T], close_one: Callable[[T], object]) -> None:
        self._open, self._close = open_one, close_one
        self._lock = threading.Lock()
        self._held: tuple[int, T] | None = None
        survives_forks(self)

    def get(self) -> T:
        """Return what is open in this process; open it when nothing is."""
        held = self._held
        if held is not None and held[0] == os.getpid():
            return held[1]
        with self._lock:
            held = self._held
            if held is None or held[0] != os.getpid():
                _keep(held)
                held = self._held = (os.getpid(), self._open())
            return held[1]

    def close(self) -> None:
        """Close what is open in this process. A later `get` opens it again."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None and held[0] == os.getpid():
            self._close(held[1])
        else:
            _keep(held)

    def before_fork(self) -> None:
        """Leave everything as it is: the parent goes on using it."""

    def after_fork(self, *, in_child: bool) -> None:
        """Set aside in the child what belongs to the parent."""
        if in_child:
            self._lock = threading.Lock()
            _keep(self._held)
            self._held = None


class _Entry(Generic[T]):
    def __init__(self, lock: asyncio.Lock) -> None:
        self.pid = os.getpid()
        self.lock = lock
        self.opened: tuple[T] | None = None
        self.closed = False


class PerLoop(Generic[T]):
    """One `T` for each running event loop of this process.

    `open_one` and `close_one` may be `async def`; they are called in the loop whose `T` it is. Of several tasks that
    need it first, one opens it; when that one fails or is cancelled, the next one tries. `discard` is called without
    a loop, for a `T` whose loop was closed before it was.
    """

    def __init__(
        self,
        open_one: Callable[[], T | Awaitable[T]],
        close_one: Callable[[T], Any],
        discard: Callable[[T], object] | None = None,
    ) -> None:
        self._open, self._close, self._discard = open_one, close_one, discard
        self._lock = threading.Lock()
        self._entries: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Entry[T]] = weakref.WeakKeyDictionary()
        survives_forks(self)

    async def get(self) -> T:
        """Return what is open in the running loop; open it when nothing is."""
        while True:
            entry = self._entry()
            if entry.opened is None:
                async with entry.lock:
                    if entry.opened is None and not entry.closed:
                        entry.opened = (await settle(self._open()),)
            if entry.opened is not None:
                return entry.opened[0]

    async def aclose(self) -> None:
        """Close what is open in the running loop, and discard what belonged to loops that are closed.

        Other loops keep theirs: closing it here would fail the calls that they have in flight. A later `get` opens it
        again.
        """
        import asyncio

        self._discard_closed()
        with self._lock:
            entry = self._entries.pop(asyncio.get_running_loop(), None)
        if entry is None:
            return
        if entry.pid != os.getpid():
            _keep(entry)
            return
        async with entry.lock:  # an opening that is under way is waited for, and then closed
            opened, entry.opened, entry.closed = entry.opened, None, True
        if opened is not None:
            await settle(self._close(opened[0]))

    def before_fork(self) -> None:
        """Leave everything as it is: the parent goes on using it."""

    def after_fork(self, *, in_child: bool) -> None:
        """Set aside in the child what belongs to the parent."""
        if in_child:
            self._lock = threading.Lock()
            for entry in self._entries.values():
                _keep(entry)
            self._entries = weakref.WeakKeyDictionary()

    def _entry(self) -> _Entry[T]:
        import asyncio

        loop = asyncio.get_running_loop()
        with self._lock:
            entry = self._entries.get(loop)
            if entry is not None and entry.pid == os.getpid():
                return entry
            _keep(entry)
            entry = self._entries[loop] = _Entry(asyncio.Lock())
        self._discard_closed()
        return entry

    def _discard_closed(self) -> None:
        # What is open refers to its loop, so the entry of a closed one never ends by itself.
        with self._lock:
            closed = [loop for loop in self._entries if loop.is_closed()]
            entries = [self._entries.pop(loop) for loop in closed]
        for entry in entries:
            if entry.pid != os.getpid():
                _keep(entry)
            elif entry.opened is not None and self._discard is not None:
                self._discard(entry.opened[0])


def _keep(inherited: object) -> None:
    if inherited is not None:
        _inherited.append(inherited)
