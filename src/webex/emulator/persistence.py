"""A cloud in a file: everything it knows, and how its clock stands."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from webex.emulator.state import State

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud

_FORMAT: Final = "webex-emulator-1"


class _File(msgspec.Struct):
    format: str
    clock_offset: float
    state: State


def encode(cloud: Cloud) -> bytes:
    """Encode a cloud as the bytes of a file."""
    with cloud.lock:
        return msgspec.msgpack.encode(_File(_FORMAT, cloud.clock.offset, cloud.state))


def save(cloud: Cloud, path: str | os.PathLike[str]) -> None:
    """Write a cloud to a file that only its owner can read; the old file stays whole until the new one is.

    Links are followed, and an existing file keeps its mode; `ValueError` for a device or a pipe.
    """
    data = encode(cloud)
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise ValueError(f"{path} is no regular file: choose another path for the emulator's data.")
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            Path(name).chmod(target.stat().st_mode & 0o777)
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def load(cloud: Cloud, path: str | os.PathLike[str]) -> None:
    """Fill a cloud from a file that `save` wrote; `ValueError` when it is another kind of file."""
    try:
        file = msgspec.msgpack.decode(Path(path).read_bytes(), type=_File)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a data file of the emulator: {error}") from None
    if file.format != _FORMAT:
        raise ValueError(f"{path} has the format {file.format!r}; this emulator reads {_FORMAT!r}.")
    with cloud.lock:
        cloud.replace_state(file.state)
        cloud.clock.reset()
        cloud.clock.advance(file.clock_offset)
