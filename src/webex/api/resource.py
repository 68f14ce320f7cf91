"""What all resource classes are: a name for a group of operations, over one view's session."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from webex.config.arguments import check_arguments, refuse_attribute
from webex.runtime import drive
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.api.session import Session

T = TypeVar("T")


class AsyncResource(Unpicklable):
    """A resource in event-loop style."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_arguments(cls)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            refuse_attribute(self, name)


class Resource(Unpicklable):
    """A resource in blocking style."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_arguments(cls)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            refuse_attribute(self, name)

    def _drive(self, call: Coroutine[Any, Any, T]) -> T:
        return drive(call)
