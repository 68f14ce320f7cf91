"""A call on its way: what the layers pass to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webex.errors import DeadlineError, FileError, RequestInfo

if TYPE_CHECKING:
    from webex.http.types import Request, TokenSource


@dataclass(slots=True)
class Body:
    """The bytes of a request, which may have to be sent more than once."""

    content: bytes | None = field(default=None, repr=False)
    opener: Callable[[], AsyncIterator[bytes]] | None = None
    length: int | None = None
    rewindable: bool = True
    opened: bool = False

    def open(self) -> bytes | AsyncIterator[bytes] | None:
        """The bytes from the beginning; `FileError` when they were read before and can't be read again."""
        if self.opener is None:
            return self.content
        if self.opened and not self.rewindable:
            raise FileError(
                "The body has been sent once and can't be read a second time. Give a path, bytes or a seekable file."
            )
        self.opened = True
        return self.opener()


@dataclass(slots=True)
class Exchange:
    """One call with all its attempts. `give_up` is on the monotonic clock."""

    request: Request
    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: Body
    tokens: TokenSource | None
    info: RequestInfo
    give_up: float
    max_retries: int
    now: Callable[[], float]
    attempts: int = 0

    def remaining(self) -> float:
        """Seconds left for this call."""
        return self.give_up - self.now()

    def time_left(self) -> float:
        """Seconds left, or `DeadlineError` when there are none."""
        left = self.remaining()
        if left <= 0:
            raise DeadlineError(
                f"The call did not end within its {self.request.timeout or 0:g} s. Give a longer timeout= if it may "
                "take longer.",
                request=self.info,
            )
        return left
