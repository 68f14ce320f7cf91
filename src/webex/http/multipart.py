"""Multipart bodies (RFC 7578), written piece by piece."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from webex.http.exchange import Body

if TYPE_CHECKING:
    from webex.http.types import Part


def _quoted(text: str) -> str:
    """Quote a parameter value: percent-encode the three characters that could end it, as browsers do."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _head(part: Part, boundary: str) -> bytes:
    lines = [f"--{boundary}", f'Content-Disposition: form-data; name="{_quoted(part.name)}"']
    if part.filename is not None:
        lines[1] += f'; filename="{_quoted(part.filename)}"'
    if part.content_type is not None:
        lines.append(f"Content-Type: {part.content_type.splitlines()[0] if part.content_type else ''}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def multipart_body(
    parts: Sequence[Part], on_progress: Callable[[int, int | None], Any] | None = None
) -> tuple[Body, str]:
    """Return the body and its content type. `on_progress` gets the bytes sent so far and in all (None: unknown)."""
    boundary = f"webex-{secrets.token_hex(16)}"
    heads = [_head(part, boundary) for part in parts]
    tail = f"--{boundary}--\r\n".encode()
    sizes: list[int | None] = []
    rewindable = True
    for part in parts:
        if isinstance(part.data, str):
            sizes.append(len(part.data.encode()))
        elif isinstance(part.data, bytes):
            sizes.append(len(part.data))
        else:
            sizes.append(part.data.size)
            rewindable = rewindable and part.data.rewindable
    length = None
    if all(size is not None for size in sizes):
        length = len(tail) + sum(len(head) + (size or 0) + 2 for head, size in zip(heads, sizes, strict=True))

    async def pieces() -> AsyncIterator[bytes]:
        for part, head in zip(parts, heads, strict=True):
            yield head
            if isinstance(part.data, str):
                yield part.data.encode()
            elif isinstance(part.data, bytes):
                yield part.data
            else:
                async for piece in part.data.open():
                    yield piece
            yield b"\r\n"
        yield tail

    opener = pieces if on_progress is None else lambda: counted(pieces(), length, on_progress)
    return Body(opener=opener, length=length, rewindable=rewindable), f"multipart/form-data; boundary={boundary}"


async def counted(
    pieces: AsyncIterator[bytes], length: int | None, on_progress: Callable[[int, int | None], Any]
) -> AsyncIterator[bytes]:
    """Pass pieces on, and tell how many bytes have gone.

    Told as a piece is handed over: a transport that has all the bytes it announced asks for no further one.
    """
    sent = 0
    async for piece in pieces:
        sent += len(piece)
        on_progress(sent, length)
        yield piece
