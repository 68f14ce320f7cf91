"""Files that are saved whole or not at all, and never over what the caller did not name.

The bytes go to a part file beside the target. A path that the caller named is replaced, with its mode and behind its
links; in a folder, where the sender chose the name, what is there stays, and the new file becomes `name (2).txt`.
A device or a pipe is written to as it is: nothing is moved there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from webex.errors import FileError, WebexError

_MOST_NAMES: Final = 10_000


@contextlib.asynccontextmanager
async def saving(to: str | os.PathLike[str], name: str, run: Callable[..., Awaitable[Any]]) -> AsyncIterator[Saving]:
    """Save a file to `to`, a path, or under a `name` into the folder `to`; what is not finished leaves nothing behind.

    `run` calls a function that blocks. Write to the `file` of what is yielded, then `await run(yielded.finish)`.
    """
    made: Saving = await run(Saving, to, name)
    try:
        yield made
    except WebexError:
        raise
    except OSError as error:
        raise made.failed(error) from error
    finally:
        made.discard()


class Saving:
    """One file on its way to `to`, a path or a folder: write to `file`, then `finish`; `discard` in a `finally`."""

    def __init__(self, to: str | os.PathLike[str], name: str = "") -> None:
        _check_path(to)
        self.target: Path = Path(to) / name if name else Path(to)
        self._real = Path(os.path.realpath(self.target.parent)) / name if name else Path(os.path.realpath(to))
        self._exclusive = bool(name)
        self._part: Path | None = None
        if not self._real.parent.is_dir():
            raise FileError(f"The folder {str(self.target.parent)!r} is not there.")
        try:
            self.file: BinaryIO = self._opened()
        except OSError as error:
            raise self.failed(error) from error

    def _opened(self) -> BinaryIO:
        there = None if self._exclusive else _stat(self._real)
        if there is not None and stat.S_ISDIR(there.st_mode):
            raise FileError(f"{str(self.target)!r} is a folder.")
        if there is not None and not stat.S_ISREG(there.st_mode):
            return open(self._real, "wb")
        part = self._real.parent / f".{self._real.name[:40]}.{secrets.token_hex(6)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(part, flags, 0o666)  # the process's umask says who may read it
        self._part = part
        if there is not None and os.name == "posix":
            made = os.fstat(descriptor)
            with contextlib.suppress(OSError):
                if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
                    os.fchown(descriptor, there.st_uid, there.st_gid)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, there.st_mode & 0o777)
        return os.fdopen(descriptor, "wb")

    def finish(self) -> Path:
        """Put the file in its place, and give its path."""
        try:
            self.file.close()
            if self._part is None:
                return self.target
            if self._exclusive:
                return self._placed(self._part)
            os.replace(self._part, self._real)
        except OSError as error:
            raise self.failed(error) from error
        return self.target

    def discard(self) -> None:
        """Close, and remove the part; after `finish` nothing happens."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self._part is not None:
            with contextlib.suppress(OSError):
                self._part.unlink()

    def _placed(self, part: Path) -> Path:
        """Give the part the first name that is free."""
        for number in range(1, _MOST_NAMES):
            name = self.target.name if number == 1 else f"{self.target.stem} ({number}){self.target.suffix}"
            try:
                _move_exclusively(part, self._real.with_name(name))
            except FileExistsError:
                continue
            return self.target.with_name(name)
        raise FileError(f"{str(self.target)!r} is there, and so are {_MOST_NAMES} names beside it.")

    def failed(self, error: OSError) -> FileError:
        """Return the error that says what could not be written, and why."""
        return FileError(f"{str(self.target)!r} can't be written: {error.strerror}.")


def _check_path(to: str | os.PathLike[str]) -> None:
    try:
        encoded = os.fsencode(to)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise FileError(f"{os.fspath(to)!r} can't be written: no file has NUL or half a character in its name.")


def _move_exclusively(part: Path, target: Path) -> None:
    """Move a file to a name that must be free; `FileExistsError` otherwise."""
    if os.name == "nt":
        os.rename(part, target)  # which on Windows never replaces
        return
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: take the name, then replace what is ours
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(part, target)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
