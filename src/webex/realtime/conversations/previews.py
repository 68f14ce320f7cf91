"""Make previews of pictures: of what the caller gives, or by Pillow where it is installed."""

from __future__ import annotations

import asyncio
import io
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.http.types import Source

WIDEST: Final = (640, 960)  # pixels, as in the JS SDK
_MOST_PIXELS: Final = 100_000_000  # a picture with more is not decoded
_MOST_BYTES: Final = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture in the place of a file: `data` is a PNG, JPEG or GIF of `width` by `height` pixels."""

    data: bytes
    width: int
    height: int
    content_type: str


def given_preview(data: bytes) -> Preview:
    """Return the preview that the caller made; `ConfigurationError` when it is no PNG, JPEG or GIF."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ConfigurationError(
            f"thumbnail is {type(data).__name__}; it is the bytes of a PNG, JPEG or GIF, or False."
        )
    data = bytes(data)
    found = picture_size(data)
    if found is None:
        raise ConfigurationError("thumbnail is no PNG, JPEG or GIF: its size can't be read.")
    kind, width, height = found
    return Preview(data, width, height, kind)


def picture_size(data: bytes) -> tuple[str, int, int] | None:
    """Return the media type, width and height of a PNG, JPEG or GIF by its first bytes; None for anything else."""
    found = None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        found = "image/png", int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        found = "image/gif", int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    elif data.startswith(b"\xff\xd8"):
        found = _jpeg_size(data)
    return found if found is not None and found[1] and found[2] else None


def _jpeg_size(data: bytes) -> tuple[str, int, int] | None:
    """Read the size of a JPEG in its frame header (ITU-T T.81 §B.2.2)."""
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return (
                "image/jpeg",
                int.from_bytes(data[place + 7 : place + 9]),
                int.from_bytes(data[place + 5 : place + 7]),
            )
        place += 2 + length
    return None


async def read_picture(source: Source, *, preview: bool) -> tuple[tuple[int, int] | None, Preview | None]:
    """Return width and height of a picture, and a `preview` where Pillow is installed and can read it; else None.

    The source is read once from its beginning and can be read again; one that can't is not touched.
    """
    if not source.rewindable or (source.size or 0) > _MOST_BYTES:
        return None, None
    pillow = _pillow() if preview else None
    data = bytearray()
    async with aclosing(source.open()) as pieces:  # type: ignore[type-var]  # a generator
        async for piece in pieces:
            data += piece
            if pillow is None or len(data) > _MOST_BYTES:
                break  # the first bytes tell the size
    size = picture_size(bytes(data))
    made = None if pillow is None else await asyncio.to_thread(_made, pillow, bytes(data))
    return (size[1:] if size is not None else None), made


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        return None
    return Image


def _made(image_module: Any, data: bytes) -> Preview | None:
    """Return a smaller picture, upright; None for what Pillow can't read or what is too large to be decoded."""
    try:
        with image_module.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return None
            from PIL import ImageOps

            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail(WIDEST)
            small = upright.convert("RGBA" if "A" in upright.getbands() or "transparency" in upright.info else "RGB")
            saved = io.BytesIO()
            small.save(saved, "PNG")
            return Preview(saved.getvalue(), small.width, small.height, "image/png")
    except Exception:  # whatever a decoder says of a file that is sent in any case
        return None
