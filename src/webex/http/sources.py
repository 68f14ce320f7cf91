"""Where the bytes of an upload come from. The size is known before anything is sent, where it can be."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from webex.errors import FileError

if TYPE_CHECKING:
    from webex.http.types import Source
    from webex.runtime.protocol import Runtime

_CHUNK: Final = 256 * 1024


class BytesSource:
    """Bytes in memory."""

    rewindable = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: int | None = len(data)

    async def open(self) -> AsyncIterator[bytes]:
        """Yield the bytes, in pieces."""
        view = memoryview(self._data)
        for start in range(0, len(view), _CHUNK):
            yield bytes(view[start : start + _CHUNK])


class PathSource:
    """A file on disk; opened anew for each attempt."""

    rewindable = True

    def __init__(self, path: str | os.PathLike[str], runtime: Runtime) -> None:
        self._path = Path(path)
        self._runtime = runtime
        try:
            if not self._path.is_file():
                raise FileError(f"{str(path)!r} is {'a folder' if self._path.is_dir() else 'not there'}.")
            self.size: int | None = self._path.stat().st_size
        except OSError as error:
            raise FileError(f"{str(path)!r} can't be read: {error.strerror}.") from error

    async def open(self) -> AsyncIterator[bytes]:
        """Yield the file's bytes, in pieces."""
        try:
            file: BinaryIO = await self._runtime.run_blocking(open, self._path, "rb")
        except OSError as error:
            raise FileError(f"{str(self._path)!r} can't be read: {error.strerror}.") from error
        try:
            while chunk := await self._runtime.run_blocking(file.read, _CHUNK):
                yield chunk
        finally:
            file.close()


class FileSource:
    """A binary file object; read again from where it stood if it can seek."""

    def __init__(self, file: Any, runtime: Runtime) -> None:
        if isinstance(file, io.TextIOBase):
            raise FileError("The file object gives text; open it in binary mode ('rb').")
        self._file = file
        self._runtime = runtime
        self.size: int | None = None
        self.rewindable: bool = False
        try:
            if file.seekable():
                self._start = file.tell()
                self.size = file.seek(0, os.SEEK_END) - self._start
                file.seek(self._start)
                self.rewindable = True
        except (AttributeError, OSError, ValueError) as error:
            if getattr(file, "closed", False):
                raise FileError("The file object is closed.") from error

    async def open(self) -> AsyncIterator[bytes]:
        """Yield the file's bytes from where it stood, in pieces."""
        if self.rewindable:
            self._file.seek(self._start)
        while chunk := await self._runtime.run_blocking(self._file.read, _CHUNK):
            if not isinstance(chunk, bytes):
                raise FileError("The file object gives text; open it in binary mode ('rb').")
            yield chunk


class IteratorSource:
    """Pieces from an iterable; they can be read once, and their number is unknown."""

    size: int | None = None
    rewindable = False

    def __init__(self, pieces: AsyncIterable[bytes] | Iterable[bytes]) -> None:
        self._pieces = pieces

    async def open(self) -> AsyncIterator[bytes]:
        """Yield the pieces as they come."""
        if isinstance(self._pieces, AsyncIterable):
            async for piece in self._pieces:
                yield _bytes_of(piece)
        else:
            for piece in self._pieces:
                yield _bytes_of(piece)


def _bytes_of(piece: Any) -> bytes:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise FileError(f"The iterable gives {type(piece).__name__}; a file is sent as pieces of bytes.")
    return bytes(piece)


def source_of(value: Any, runtime: Runtime) -> Source:
    """Make a source of bytes, a path, a binary file object, or an iterable of bytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        return BytesSource(bytes(value))
    if isinstance(value, str | os.PathLike):
        return PathSource(value, runtime)
    if isinstance(value, io.TextIOBase):
        raise FileError("The file object gives text; open it in binary mode ('rb').")
    if hasattr(value, "read"):
        return FileSource(value, runtime)
    if isinstance(value, AsyncIterable):
        if runtime.style == "blocking":
            raise FileError("An asynchronous iterable can't be sent by a blocking client; give a plain iterable.")
        return IteratorSource(value)
    if isinstance(value, Iterable):
        return IteratorSource(value)
    raise FileError(
        f"A file is a path, bytes, a binary file object or an iterable of bytes, not {type(value).__name__}."
    )


def check_size(name: str, size: int | None, most: int) -> None:
    """`FileError` when a size is known and above `most` bytes."""
    if size is not None and size > most:
        raise FileError(
            f"{name!r} has {size:,} bytes, and at most {most:,} can be sent. Nothing was sent. "
            "(max_upload_size is the setting, should the cloud's own limit change.)"
        )
