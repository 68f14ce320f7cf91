"""Read header values that a service sent: parameters and file names.

The text is remote: each function takes time in proportion to its length and raises nothing but `WebexError`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote_to_bytes

from webex.errors import DecodeError

# A parameter (RFC 9110 §5.6.6) at its semicolon. Nothing is tried twice: every repetition is possessive. A quoted
# string that is not closed ends with the value.
_NAME: Final = r"\s*+;\s*+([\w!#$%&'*+.^`|~-]*+)\s*+"
_QUOTED: Final = r'"((?:[^"\\]|\\.)*+)\\?(?:"|\Z)'
_IN_LIST: Final = re.compile(rf'{_NAME}(?:=\s*+(?:{_QUOTED}|([^\s",;]*+)))?+', re.DOTALL)
_ALONE: Final = re.compile(rf"{_NAME}(?:=\s*+(?:{_QUOTED}|([^;]*+)))?+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_CHARSET: Final = re.compile(
    r"utf-?8|us-ascii|ascii|iso-?8859-(?:[1-9]|1[013456])|latin-?1|(?:windows-|cp)125[0-8]|utf-16(?:le|be)?|shift_jis"
    r"|euc-(?:jp|kr)|gb(?:k|2312|18030)|big5|koi8-[ru]",
    re.IGNORECASE,
)
_LONGEST_NAME: Final = 200  # bytes; file systems take 255, and a counter may be added
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, direction, surrogate and line characters
_JOINERS: Final = "\u200c\u200d"  # part of many scripts and of emoji


def list_parameters(text: str, position: int) -> tuple[dict[str, str], int]:
    """Parse the parameters of one element of a list, from the first semicolon on; return the position behind, too."""
    found: dict[str, str] = {}
    while (match := _IN_LIST.match(text, position)) is not None:
        name, value = _pair(match)
        found.setdefault(name, value)
        position = match.end()
    return found, position


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """Parse the parameters of a value that is not a list; skip what is none up to the next semicolon."""
    position = text.find(";")
    if "=" in (text if position < 0 else text[:position]):
        text, position = f";{text}", 0
    while position >= 0:
        match = _ALONE.match(text, position)
        assert match is not None  # a semicolon is there
        yield _pair(match)
        position = text.find(";", match.end())


def _pair(match: re.Match[str]) -> tuple[str, str]:
    name, quoted, token = match.groups()
    return name.lower(), _ESCAPED.sub(r"\1", quoted) if quoted is not None else (token or "").strip()


def disposition_file_name(value: str) -> str:
    """Return a `Content-Disposition`'s file name (RFC 6266), made safe to save under; empty when there is none.

    `filename*` wins over `filename`, in which percent signs are themselves. `DecodeError` for a character set that is
    not known, and for a name with NUL.
    """
    found: dict[str, str] = {}
    for name, text in _parameters(value):
        found.setdefault(name, text)
    plain = found.get("filename", "")
    extended = found.get("filename*", "").split("'", 2)
    if len(extended) == 3:
        name = _extended(extended[0], extended[2])
        if name and not (plain and "\ufffd" in name):
            return safe_file_name(name)
    return safe_file_name(plain)


def _extended(charset: str, encoded: str) -> str:
    """Decode an extended value (RFC 8187 §3.2)."""
    charset = charset.strip()
    if _CHARSET.fullmatch(charset) is None:
        raise DecodeError(f"The file name's character set {charset[:40]!r} is not known.", path="content-disposition")
    return unquote_to_bytes(encoded.encode("utf-8", "replace")).decode(charset, "replace")


def safe_file_name(name: str) -> str:
    """Return the last part of a path, without what could hide or redirect it: control characters and outer dots.

    At most 200 bytes, the suffix kept. Empty when nothing is left. `DecodeError` for a name with NUL.
    """
    if "\0" in name:
        raise DecodeError("The file name contains NUL.", path="content-disposition")
    last = re.split(r"[\\/]", name)[-1]
    shown = "".join(c for c in last if c in _JOINERS or unicodedata.category(c) not in _INVISIBLE)
    shown = shown.strip(". \t\u3000\u00a0")
    if len(shown.encode()) > _LONGEST_NAME:
        suffix = PurePath(shown).suffix
        suffix = suffix if len(suffix.encode()) <= 20 else ""
        stem = shown[: len(shown) - len(suffix)].encode()[: _LONGEST_NAME - len(suffix.encode())]
        shown = stem.decode("utf-8", "ignore") + suffix
    return shown
