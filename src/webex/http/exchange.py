"""A call on its way: what the layers pass to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec

from webex.errors import DeadlineError, FileError, RequestInfo
from webex.telemetry import short_path

if TYPE_CHECKING:
    from webex.http.types import Request, TokenSource
    from webex.telemetry import Telemetry


class Body(msgspec.Struct):
    """The bytes of a request, which may have to be sent more than once."""

    content: bytes | None = None
    opener: Callable[[], AsyncIterator[bytes]] | None = None
    length: int | None = None
    rewindable: bool = True
    opened: bool = False

    def open(self) -> bytes | AsyncIterator[bytes] | None:
        """Open the bytes from the beginning; `FileError` when they were read before and can't be read again."""
        if self.opener is None:
            return self.content
        if self.opened and not self.rewindable:
            raise FileError(
                "The body has been sent once and can't be read a second time. Give a path, bytes or a seekable file."
            )
        self.opened = True
        return self.opener()

    def __repr__(self) -> str:
        return f"Body(length={self.length}, rewindable={self.rewindable})"


class Limits(msgspec.Struct, frozen=True):
    """What an answer may take: seconds between two pieces when it is streamed, and bytes."""

    idle_timeout: float
    max_size: int


class Exchange(msgspec.Struct):
    """One call with all its attempts. `give_up` is on the monotonic clock.

    A plain struct: one is made for every call.
    """

    request: Request
    method: str
    url: str
    headers: dict[str, str]
    body: Body
    tokens: TokenSource | None
    info: RequestInfo
    give_up: float
    max_retries: int
    now: Callable[[], float]
    timeout: float  # seconds that the call was given, for what errors say
    limits: Limits
    telemetry: Telemetry
    attempts: int = 0

    @property
    def path(self) -> str:
        """The path as logs show it."""
        return short_path(self.url)

    def __repr__(self) -> str:
        return f"Exchange({self.method} {self.info.url})"  # never the token, nor the body

    def remaining(self) -> float:
        """Seconds left for this call."""
        return self.give_up - self.now()

    def time_left(self) -> float:
        """Seconds left, or `DeadlineError` when there are none."""
        left = self.remaining()
        if left <= 0:
            raise DeadlineError(
                f"The call did not end within its {self.timeout:g} s. Give a longer timeout= if it may take longer.",
                request=self.info,
            )
        return left
