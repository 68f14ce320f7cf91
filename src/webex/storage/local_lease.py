"""The lease of a storage whose calls return at once: memory and SQLite."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["LocalLease"]


class LocalLease:
    """A held lease; `renew` and `release` are those of the binding that granted it, called with name and token."""

    def __init__(
        self,
        name: str,
        token: str,
        renew: Callable[[str, str, float], bool],
        release: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.token = token
        self._renew, self._release = renew, release

    def renew(self, ttl: float) -> bool:
        return self._renew(self.name, self.token, ttl)

    def release(self) -> None:
        self._release(self.name, self.token)

    def __repr__(self) -> str:
        return f"LocalLease({self.name!r})"
