"""A key that a key service keeps, with the data keys that this process has made or had unwrapped."""

from __future__ import annotations

import concurrent.futures
import inspect
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, Final

from webex.errors import ConfigurationError, StorageError, WebexError
from webex.storage.protocol import MaybeAwaitable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_SIZE", "EnvelopeKey", "cipher_of"]

KEY_SIZE: Final = 32
_KEPT: Final = 1000  # unwrapped data keys
_MOST_VALUES: Final = 2**31  # under one data key; twice as many while the key service is away
_RETRY_EVERY: Final = 30.0  # seconds between two calls of `generate` while the key service is away
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_:/@=+-]{1,200}")

_logger = logging.getLogger("webex.storage")
_monotonic = time.monotonic


class EnvelopeKey:
    """A key that a key service keeps: AWS KMS, HashiCorp Vault, or another one by two functions.

    `key_id` is written into each record, and never changes its meaning. `generate()` makes a new data key: its 32
    bytes, and the same wrapped by the service. `unwrap(wrapped)` gives the 32 bytes back. Both may be `async def` where
    the storage is used in event-loop style; plain ones run in a thread there. Data keys are kept in memory, so that the
    service is asked once for each, also by many calls at the same time; each process makes its own.

    A data key encrypts for `lifetime` seconds. While the service is away after that, it goes on for `grace` seconds at
    most, with a warning on `webex.storage`; then writes fail.

    What the functions raise becomes a `StorageError` with its cause: the key service is away, and nothing is lost.
    """

    def __init__(
        self,
        key_id: str,
        *,
        generate: Callable[[], MaybeAwaitable[tuple[bytes, bytes]]],
        unwrap: Callable[[bytes], MaybeAwaitable[bytes]],
        lifetime: float = 86400.0,
        grace: float = 86400.0,
    ) -> None:
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
            raise ConfigurationError(
                f"the id of an EnvelopeKey is 1 to 200 letters, digits and _:/@=+-, such as 'vault:transit/webex', "
                f"not {key_id!r}"
            )
        if not callable(generate) or not callable(unwrap):
            raise ConfigurationError("generate and unwrap of an EnvelopeKey are functions")
        for name, seconds in (("lifetime", lifetime), ("grace", grace)):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e12:
                raise ConfigurationError(f"{name} of an EnvelopeKey is a number of seconds, not {seconds!r}")
        self.key_id: str = key_id
        self._generate, self._unwrap = generate, unwrap
        self._lifetime, self._grace = lifetime, grace
        self._current: _DataKey | None = None
        self._away_until: float | None = None  # the service is not asked for a data key before
        self._known: dict[bytes, AESGCM] = {}
        self._calls = _Calls()

    async def current(self, *, asynchronous: bool) -> tuple[AESGCM, bytes]:
        """Return the cipher that encrypts now, and its wrapped data key."""
        known = self._current
        if known is not None and (known.is_fresh or (self._is_away and known.is_usable)):
            current = known
        else:
            current = await self._calls.once("generate", self._made, asynchronous=asynchronous)
        current.used += 1
        return current.cipher, current.wrapped

    async def cipher(self, wrapped: bytes, *, asynchronous: bool) -> AESGCM:
        """Return the cipher of a wrapped data key."""
        if (known := self._known.get(wrapped)) is not None:
            return known

        async def unwrapped(asynchronous: bool) -> AESGCM:
            if (found := self._known.get(wrapped)) is not None:  # by another caller just now
                return found
            data_key = await self._called(self._unwrap, wrapped, asynchronous=asynchronous)
            try:
                cipher = cipher_of(data_key)
            except (TypeError, ValueError):
                raise ConfigurationError(
                    f"unwrap of the EnvelopeKey {self.key_id!r} returns the {KEY_SIZE} bytes of a data key"
                ) from None
            self._remember(wrapped, cipher)
            return cipher

        cipher: AESGCM = await self._calls.once(("unwrap", wrapped), unwrapped, asynchronous=asynchronous)
        return cipher

    def __repr__(self) -> str:
        return f"EnvelopeKey({self.key_id!r})"

    @property
    def _is_away(self) -> bool:
        return self._away_until is not None and _monotonic() < self._away_until

    async def _made(self, asynchronous: bool) -> _DataKey:
        """Return a new data key; the last one again while the service is away and `grace` lasts."""
        last = self._current
        if last is not None and last.is_fresh:  # made by another caller just now
            return last
        try:
            made = await self._called(self._generate, asynchronous=asynchronous)
        except StorageError as error:
            if last is None or not last.is_usable:
                raise
            if self._away_until is None:
                _logger.warning(
                    "%s: values are encrypted with the last data key until it is back, for %.0f s at most",
                    error,
                    last.usable_until - _monotonic(),
                )
            self._away_until = _monotonic() + _RETRY_EVERY
            return last
        try:
            data_key, wrapped = made
            cipher, wrapped = cipher_of(data_key), bytes(wrapped)
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"generate of the EnvelopeKey {self.key_id!r} returns a pair: {KEY_SIZE} bytes, and the same wrapped"
            ) from None
        self._remember(wrapped, cipher)
        if self._away_until is not None:
            _logger.info("the key service of the key %r answers again", self.key_id)
        self._away_until = None
        self._current = _DataKey(cipher, wrapped, _monotonic() + self._lifetime, self._grace)
        return self._current

    def _remember(self, wrapped: bytes, cipher: AESGCM) -> None:
        self._known[wrapped] = cipher
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)), None)

    async def _called(self, function: Callable[..., Any], *args: Any, asynchronous: bool) -> Any:
        try:
            if asynchronous and not inspect.iscoroutinefunction(function):
                import asyncio

                result = await asyncio.to_thread(function, *args)
            else:
                result = function(*args)
            if not inspect.isawaitable(result):
                return result
            if asynchronous:
                return await result
            if inspect.iscoroutine(result):
                result.close()
        except WebexError:
            raise
        except Exception as error:
            raise StorageError(
                f"the key service of the key {self.key_id!r} failed with {type(error).__name__}"
            ) from error
        raise ConfigurationError(
            f"the functions of the EnvelopeKey {self.key_id!r} are async def, and the storage is used by plain calls: "
            f"give it plain functions"
        )


class _DataKey:
    """A data key that encrypts; `used` counts its values."""

    __slots__ = ("cipher", "fresh_until", "usable_until", "used", "wrapped")

    def __init__(self, cipher: AESGCM, wrapped: bytes, fresh_until: float, grace: float) -> None:
        self.cipher, self.wrapped = cipher, wrapped
        self.fresh_until, self.usable_until = fresh_until, fresh_until + grace
        self.used = 0

    @property
    def is_fresh(self) -> bool:
        return self.used < _MOST_VALUES and _monotonic() < self.fresh_until

    @property
    def is_usable(self) -> bool:
        """Whether it may go on when no other one can be had."""
        return self.used < 2 * _MOST_VALUES and _monotonic() < self.usable_until


class _Calls:
    """Make one call for all callers that need the same at the same time; they share its result or its error.

    Plain callers share calls among all threads, asynchronous ones among the tasks of their event loop. A call belongs
    to its first caller: when that one is interrupted or cancelled, another one makes it anew.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, Any] = {}

    async def once(self, what: Hashable, call: Callable[[bool], Awaitable[Any]], *, asynchronous: bool) -> Any:
        """Return what `call(asynchronous)` returns, made now or by another caller that is at it."""
        place: Hashable
        mine: Any
        wait: Callable[[Any], Awaitable[Any]]
        if asynchronous:
            import asyncio

            loop = asyncio.get_running_loop()
            place, mine, wait = (what, os.getpid(), loop), loop.create_future(), _waited
        else:
            place, mine, wait = (what, os.getpid(), None), concurrent.futures.Future(), _blocked
        while (running := self._running.setdefault(place, mine)) is not mine:
            await wait(running)
            if running.cancelled():
                continue
            error = running.exception()
            if error is not None:
                raise error.with_traceback(None)
            return running.result()
        try:
            result = await call(asynchronous)
        except Exception as error:
            self._running.pop(place, None)
            mine.set_exception(error)
            mine.exception()  # observed: perhaps no other caller waits
            raise
        except BaseException:
            self._running.pop(place, None)
            mine.cancel()
            if not asynchronous:
                mine.set_running_or_notify_cancel()
            raise
        self._running.pop(place, None)
        mine.set_result(result)
        return result


async def _waited(running: Any) -> None:
    import asyncio

    await asyncio.wait([running])  # a caller that is cancelled does not cancel it


async def _blocked(running: concurrent.futures.Future[Any]) -> None:
    concurrent.futures.wait([running])


def cipher_of(key: bytes) -> AESGCM:
    """Return the cipher of a key of 32 bytes; `ValueError` for another length."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(key) != KEY_SIZE:
        raise ValueError(len(key))
    return AESGCM(bytes(key))
