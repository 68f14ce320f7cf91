"""Long markdown in parts that the cloud takes: at most 7,439 bytes each (rest §8).

Parts joined give the text back byte for byte, but for the fences of a code block that had to be divided: its part is
closed, and the next one opened again with the same words. Cuts are made at paragraphs, else lines, else words, else
characters; never inside a character.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from webex.errors import ConfigurationError

MOST_BYTES: Final = 7439
_JOINER: Final = "\u200d"
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")


def split_markdown(text: str, most: int = MOST_BYTES) -> list[str]:
    """Split a text into parts of at most `most` bytes of UTF-8; one part when it fits."""
    if most < 64:
        raise ConfigurationError("A part must be allowed at least 64 bytes.")
    parts: list[str] = []
    prefix = ""
    rest = text
    while len(prefix) + len(rest) > most or len((prefix + rest).encode()) > most:
        room = most - len(prefix.encode())
        head = _cut(rest, room)
        fence = _open_fence(prefix + head)
        if fence is not None:
            before = _fence_start(prefix + head) - len(prefix)
            if before > 0 and (_block_bytes(rest[before : before + most + 1], fence) <= most or _is_cut(head, rest)):
                head = rest[:before]  # the block, or the line that opens it, begins a part of its own
            elif (again := _opened_again(fence, most)) is not None and not _is_cut(head, rest):
                closing = f"\n{_marker(fence)}"
                head = _cut(rest, room - len(closing.encode()))
                if _open_fence(prefix + head) is not None and not _is_cut(head, rest):
                    joined = prefix + head
                    parts.append(joined + (closing[1:] if joined.endswith("\n") else closing))
                    prefix, rest = again, rest[len(head) :].removeprefix("" if head.endswith("\n") else "\n")
                    continue
        parts.append(prefix + head)
        prefix, rest = "", rest[len(head) :]
    if prefix + rest or not parts:
        parts.append(prefix + rest)
    return parts


def _marker(fence: str) -> str:
    found = _FENCE.match(fence)
    assert found is not None
    return found.group(1)


def _opened_again(fence: str, most: int) -> str | None:
    """Return the line that opens a block again in the next part; None where it would take most of that part."""
    if len(fence.encode()) > most // 4:
        fence = _marker(fence)  # the words after it are part of the text by then
    return f"{fence}\n" if len(fence) <= most // 4 else None


def _is_cut(head: str, rest: str) -> bool:
    """Whether the last line of the head, when that opens a block, goes on behind the cut."""
    return _FENCE.match(head.rpartition("\n")[2]) is not None and not rest[len(head) :].startswith("\n")


def _cut(text: str, room: int) -> str:
    """Return the length of the longest good beginning of at most `room` bytes; at least one character."""
    head = text[:room].encode()[:room].decode("utf-8", "ignore")
    if len(head) == len(text):
        return head
    for mark in ("\n\n", "\n", " "):
        at = head.rfind(mark)
        if at > len(head) // 4:
            return head[: at + len(mark)]
    whole = head
    while whole and _belong_together(whole[-1], text[len(whole)]):
        whole = whole[:-1]
    return whole or head or text[:1]


def _belong_together(before: str, after: str) -> bool:
    """Whether two characters are seen as one: an accent, a joined emoji, its colour or its variant."""
    return (
        before == _JOINER
        or after in (_JOINER, "\ufe0f", "\u20e3")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or unicodedata.combining(after) != 0
    )


def _open_fence(text: str) -> str | None:
    """Return the line that opened a code block which is still open at the end, or None."""
    opened: str | None = None
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if match is None:
            continue
        if opened is None:
            opened = line
        else:
            own = _FENCE.match(opened)
            assert own is not None
            if match.group(1).startswith(own.group(1)) and not match.group(2).strip():
                opened = None
    return opened


def _fence_start(text: str) -> int:
    """Where the code block that is open at the end begins."""
    place, start, opened = 0, 0, False
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if match is not None:
            opened = not opened
            if opened:
                start = place
        place += len(line) + 1
    return start


def _block_bytes(text: str, fence: str) -> int:
    """How many bytes the code block has with which the text begins."""
    own = _FENCE.match(fence)
    assert own is not None
    length = 0
    for number, line in enumerate(text.split("\n")):
        length += len(line.encode()) + 1
        match = _FENCE.match(line)
        if number and match is not None and match.group(1).startswith(own.group(1)) and not match.group(2).strip():
            break
    return length
