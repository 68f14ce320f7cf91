"""Scopes as sets that are written as text with spaces (oauth §8)."""

from __future__ import annotations

from collections.abc import Iterable

from webex.config.shapes import items_of
from webex.errors import ConfigurationError


def split(scope: str | Iterable[str] | None) -> list[str]:
    """Split a text or a list into scopes, in their order."""
    if scope is None:
        return []
    if isinstance(scope, str):
        return scope.split()
    items = items_of("scope", scope, "scopes, or a text")
    wrong = next((item for item in items if not isinstance(item, str)), None)
    if wrong is not None:
        raise ConfigurationError(f"scope holds texts, and not {type(wrong).__name__}.")
    return [part for item in items for part in item.split()]


def sort_scope(scope: str | Iterable[str] | None) -> str:
    """Sort scopes alphabetically, and join them to one text."""
    return " ".join(sorted(split(scope)))


def filter_scope(drop: str | Iterable[str], scope: str | None) -> str:
    """Return the scopes of `scope` that are not in `drop`, sorted."""
    dropped = set(split(drop))
    return " ".join(sorted(part for part in split(scope) if part not in dropped))


def diff_scopes(first: str | None, second: str | None) -> str:
    """Return the scopes of `first` that `second` lacks, sorted."""
    return filter_scope(second or "", first)
