"""`client.files`: the files of messages, by the URLs in `message.files`.

A download is written beside its target and moved there when it is whole; it resumes where a connection broke. While a
file is being scanned (423) it waits as long as the cloud says, within the call's time; an infected one is `GoneError`
(410), one that can't be scanned `PreconditionRequiredError` (428) unless `allow="unscannable"`.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal
from urllib.parse import unquote

from webex.api.resource import AsyncResource, Resource
from webex.api.session import Session
from webex.errors import ConfigurationError, FileError, TransportError
from webex.http.types import Request

if TYPE_CHECKING:
    from webex.http.pipeline import StreamedResponse

__all__ = ["AsyncFiles", "FileInfo", "Files"]

Progress = Callable[[int, int | None], Any]
Target = str | os.PathLike[str] | BinaryIO | None

_RESUMES: Final = 5
_FILENAME_STAR: Final = re.compile(r"filename\*\s*=\s*([\w-]+)'[^']*'([^;]+)", re.IGNORECASE)
_FILENAME: Final = re.compile(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file without its bytes. `size` is bytes, None when the cloud did not say."""

    name: str
    content_type: str
    size: int | None


def info_of(headers: Mapping[str, str]) -> FileInfo:
    """A file's name, type and size, from an answer's headers (RFC 6266); the name is never a path."""
    disposition = headers.get("content-disposition", "")
    name = ""
    star, plain = _FILENAME_STAR.search(disposition), _FILENAME.search(disposition)
    if star is not None:
        with contextlib.suppress(LookupError):
            name = unquote(star.group(2).strip(), encoding=star.group(1), errors="replace")
    if not name and plain is not None:
        text = plain.group(1) if plain.group(1) is not None else (plain.group(2) or "").strip()
        name = unquote(re.sub(r"\\(.)", r"\1", text))
    name = re.split(r"[\\/]", name)[-1].strip().lstrip(".")
    length = headers.get("content-length", "")
    return FileInfo(name or "file", headers.get("content-type", "application/octet-stream"), _whole(length))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


async def _info(session: Session, url: str, allow: str | None) -> FileInfo:
    response = await session.send(Request("HEAD", url, params={"allow": allow}, headers={"accept": "*/*"}))
    return info_of(response.headers)


async def _chunks(
    session: Session, url: str, allow: str | None, on_progress: Progress | None
) -> AsyncGenerator[bytes, None]:
    """The file's bytes; a broken connection is taken up where it broke."""
    done, total, resumes = 0, None, 0
    tag: str | None = None
    while True:
        headers = {"accept": "*/*", "accept-encoding": "identity"}
        if done:
            headers["range"] = f"bytes={done}-"
            if tag:
                headers["if-range"] = tag
        response = await session.stream(Request("GET", url, params={"allow": allow}, headers=headers))
        try:
            if done and not _goes_on(response, done):
                raise FileError("The file changed, or can't be resumed, after the connection broke. Download it again.")
            tag = response.headers.get("etag", tag)
            if total is None and response.status != 206:
                total = _whole(response.headers.get("content-length", ""))
            async for chunk in response.chunks():
                done += len(chunk)
                if on_progress is not None:
                    on_progress(done, total)
                yield chunk
        except TransportError:
            resumes += 1
            if resumes > _RESUMES or response.headers.get("accept-ranges", "bytes") == "none":
                raise
            await session.runtime.sleep(0.1 * resumes)
            continue
        finally:
            await response.close()
        if total is not None and done < total and resumes < _RESUMES:
            resumes += 1
            continue
        if total is not None and done != total:
            raise TransportError(f"The file ended after {done:,} of {total:,} bytes.", request=response.request)
        return


def _goes_on(response: StreamedResponse, done: int) -> bool:
    """Whether an answer begins where the last one broke off (RFC 9110 §14.4)."""
    begins = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    return response.status == 206 and (begins is None or int(begins.group(1)) == done)


async def _write(session: Session, file: Any, url: str, allow: str | None, on_progress: Progress | None) -> None:
    """All of a file into a file object; the connection is let go of whatever happens."""
    async with contextlib.aclosing(_chunks(session, url, allow, on_progress)) as chunks:
        async for chunk in chunks:
            try:
                await session.runtime.run_blocking(file.write, chunk)
            except (TypeError, ValueError, AttributeError) as error:
                raise FileError(f"The file object can't be written: {error}. Open it in binary mode ('wb').") from error


async def _download(
    session: Session, url: str, to: Target, allow: str | None, on_progress: Progress | None
) -> bytes | Path:
    if to is None:
        async with contextlib.aclosing(_chunks(session, url, allow, on_progress)) as chunks:
            return b"".join([chunk async for chunk in chunks])
    if not isinstance(to, str | os.PathLike):
        await _write(session, to, url, allow, on_progress)
        return b""
    target = Path(to)
    if await session.runtime.run_blocking(target.is_dir):
        target = target / (await _info(session, url, allow)).name
    if not await session.runtime.run_blocking(target.parent.is_dir):
        raise FileError(f"The folder {str(target.parent)!r} is not there.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise FileError(f"{str(target)!r} can't be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            await _write(session, file, url, allow, on_progress)
        os.replace(name, target)
    except OSError as error:
        if isinstance(error, TransportError):
            raise
        raise FileError(f"{str(target)!r} can't be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    return target


def _checked(url: str) -> str:
    if not isinstance(url, str) or not url:
        raise ConfigurationError("A file is named by its URL: one of message.files.")
    return url


class AsyncFiles(AsyncResource):
    """`client.files`, in event-loop style."""

    __slots__ = ()

    async def info(self, url: str, *, allow: Literal["unscannable"] | None = None) -> FileInfo:
        """A file's name, content type and size: `HEAD /contents/{contentId}`."""
        return await _info(self._session, _checked(url), allow)

    async def download(
        self,
        url: str,
        *,
        to: Target = None,
        allow: Literal["unscannable"] | None = None,
        on_progress: Progress | None = None,
    ) -> bytes | Path:
        """`GET /contents/{contentId}`: the bytes; with `to`, saved at a path, into a folder, or to a file object.

        Gives the bytes, or the path of the saved file (empty bytes for a file object). `on_progress` hears the bytes
        that came so far, and in all where that is known.
        """
        return await _download(self._session, _checked(url), to, allow, on_progress)


class Files(Resource):
    """`client.files`, in blocking style."""

    __slots__ = ()

    def info(self, url: str, *, allow: Literal["unscannable"] | None = None) -> FileInfo:
        """A file's name, content type and size: `HEAD /contents/{contentId}`."""
        return self._drive(_info(self._session, _checked(url), allow))

    def download(
        self,
        url: str,
        *,
        to: Target = None,
        allow: Literal["unscannable"] | None = None,
        on_progress: Progress | None = None,
    ) -> bytes | Path:
        """`GET /contents/{contentId}`: the bytes, or saved `to` a place; see `AsyncFiles.download`."""
        return self._drive(_download(self._session, _checked(url), to, allow, on_progress))
