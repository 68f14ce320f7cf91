"""Keys made of parts, so that two different lists of parts never make the same key."""

from __future__ import annotations

__all__ = ["path", "split_path"]

SEPARATOR = "/"


def path(*parts: str) -> str:
    """One key from its parts: `path("app", "user")` is `app/user`, and a slash within a part is escaped.

    Different parts give different keys, and `path(a, "")` is a prefix of `path(b, …)` only where `a == b`, which makes
    it the argument for `keys(prefix)`. `split_path` is the way back. At least one part; a part that is not text is a
    `TypeError`.
    """
    if not parts:
        raise TypeError("path() needs at least one part")
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"the parts of a storage key are text, not {type(part).__name__}")
    return SEPARATOR.join(part.replace("%", "%25").replace(SEPARATOR, "%2F") for part in parts)


def split_path(key: str) -> tuple[str, ...]:
    """Return the parts that `path` was given."""
    return tuple(part.replace("%2F", SEPARATOR).replace("%25", "%") for part in key.split(SEPARATOR))


def after_prefix(prefix: str) -> str | None:
    """Return the least text above all texts that begin with `prefix`, by code points; None: there is none."""
    trimmed = prefix.rstrip("\U0010ffff")
    if not trimmed:
        return None
    following = ord(trimmed[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:  # surrogates are no characters and can't be encoded
        following = 0xE000
    return trimmed[:-1] + chr(following)
