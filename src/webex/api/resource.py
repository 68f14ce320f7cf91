"""What all resource classes are: a name for a group of operations, over one view's session."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from webex.runtime import drive

if TYPE_CHECKING:
    from webex.api.session import Session

T = TypeVar("T")


class AsyncResource:
    """A resource in event-loop style."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session


class Resource:
    """A resource in blocking style."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def _drive(self, call: Coroutine[Any, Any, T]) -> T:
        return drive(call)
