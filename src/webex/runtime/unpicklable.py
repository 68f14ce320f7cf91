"""What holds connections can't be pickled or copied, and says what to do instead."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, SupportsIndex


class Unpicklable:
    """Base class of clients, subscriptions and everything else that belongs to one process.

    `_instead` says what to send to another process in its place.
    """

    __slots__ = ()

    _instead: ClassVar[str] = "Pass plain data, and make a client in the other process."

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} can't be pickled or copied: it holds connections and locks of this process. "
            f"{self._instead}"
        )

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__reduce_ex__(4)
