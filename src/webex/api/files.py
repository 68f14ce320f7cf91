"""`client.files`: the files of messages, by the URLs in `message.files`.

A download is written beside its target and moved there when it is whole; it resumes where a connection broke. While a
file is being scanned (423) it waits as long as the cloud says, within the call's time; an infected one is `GoneError`
(410), one that can't be scanned `PreconditionRequiredError` (428) unless `allow="unscannable"`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypedDict, Unpack, overload

from webex.api.resource import AsyncResource, Resource
from webex.api.session import Session
from webex.config.shapes import check_function
from webex.errors import (
    ConfigurationError,
    DeadlineError,
    FileError,
    ResponseTooLargeError,
    TransportError,
)
from webex.http.header_values import disposition_file_name
from webex.http.options import LimitsOf
from webex.http.saving import saving
from webex.http.timing import Backoff
from webex.http.types import Request

if TYPE_CHECKING:
    from webex.http.pipeline import StreamedResponse

__all__ = ["AsyncFiles", "FileInfo", "Files"]

Progress = Callable[[int, int | None], Any]
Target = str | os.PathLike[str] | BinaryIO | None

_RESUMES: Final = 5
_BEGINS: Final = re.compile(r"bytes ([0-9]{1,18})-")


class DownloadOptions(TypedDict, total=False):
    """The options of `download`; its text says what they mean."""

    allow: Literal["unscannable"] | None
    on_progress: Progress | None
    timeout: float | None
    idle_timeout: float | None
    max_size: int | None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file without its bytes. `size` is bytes, None when the cloud did not say."""

    name: str
    content_type: str
    size: int | None


def info_of(headers: Mapping[str, str]) -> FileInfo:
    """Read a file's name, type and size from an answer's headers (RFC 6266); the name is never a path.

    `DecodeError` for a name with NUL or in an unknown character set.
    """
    name = disposition_file_name(headers.get("content-disposition", ""))
    length = headers.get("content-length", "")
    return FileInfo(name or "file", headers.get("content-type", "application/octet-stream"), _whole(length))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a call asks for, and within what limits."""

    url: str
    allow: str | None = None
    on_progress: Progress | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    max_size: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url:
            raise ConfigurationError("A file is named by its URL: one of message.files.")

    def request(self, **more: Any) -> Request:
        """Return the request for the file's bytes."""
        made = Request("GET", self.url, params={"allow": self.allow}, **more)
        made.timeout, made.idle_timeout, made.max_download_size = self.timeout, self.idle_timeout, self.max_size
        return made


async def _info(session: Session, asked: _Asked) -> FileInfo:
    request = Request(
        "HEAD", asked.url, params={"allow": asked.allow}, headers={"accept": "*/*"}, timeout=asked.timeout
    )
    response = await session.send(request)
    return info_of(response.headers)


async def _chunks(session: Session, asked: _Asked) -> AsyncGenerator[bytes, None]:
    """Yield the file's bytes; resume a broken connection where it broke, within the time of the whole download."""
    done, total, resumes = 0, None, 0
    backoff = Backoff(0.1, 1.0)
    tag: str | None = None
    clock, pipeline = session.runtime.clock, session.pipeline
    first = session.applied(asked.request(stream=True))
    give_up = clock.monotonic() + pipeline.timeout_of(first)
    most = LimitsOf(pipeline.config)(first).max_size
    while True:
        headers = {"accept": "*/*", "accept-encoding": "identity"}
        if done:
            headers["range"] = f"bytes={done}-"
            if tag:
                headers["if-range"] = tag
        request = asked.request(headers=headers)
        if done or resumes:
            request.timeout = max(give_up - clock.monotonic(), 0.001)
            request.max_download_size = max(most - done, 1)
        response = await session.stream(request)
        try:
            if done and not _goes_on(response, done):
                raise FileError("The file changed, or can't be resumed, after the connection broke. Download it again.")
            tag = response.headers.get("etag", tag)
            if total is None and response.status != 206:
                total = _whole(response.headers.get("content-length", ""))
            async for chunk in response.chunks():
                done += len(chunk)
                if asked.on_progress is not None:
                    asked.on_progress(done, total)
                yield chunk
        except (DeadlineError, ResponseTooLargeError):
            raise
        except TransportError:
            resumes += 1
            if resumes > _RESUMES or response.headers.get("accept-ranges", "bytes") == "none":
                raise
            await session.runtime.sleep(backoff.next())
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
    begins = _BEGINS.match(response.headers.get("content-range", ""))
    return response.status == 206 and (begins is None or int(begins.group(1)) == done)


async def _write(session: Session, file: Any, asked: _Asked) -> None:
    """All of a file into a file object; the connection is let go of whatever happens."""
    async with contextlib.aclosing(_chunks(session, asked)) as chunks:
        async for chunk in chunks:
            try:
                await session.runtime.run_blocking(file.write, chunk)
            except (TypeError, ValueError, AttributeError) as error:
                raise FileError(f"The file object can't be written: {error}. Open it in binary mode ('wb').") from error


async def _download(session: Session, asked: _Asked, to: Target) -> bytes | Path:
    if to is None:
        async with contextlib.aclosing(_chunks(session, asked)) as chunks:
            return b"".join([chunk async for chunk in chunks])
    if not isinstance(to, str | os.PathLike):
        await _write(session, to, asked)
        return b""
    run = session.runtime.run_blocking
    name = (await _info(session, asked)).name if await run(os.path.isdir, to) else ""
    async with saving(to, name, run) as made:
        await _write(session, made.file, asked)
        done: Path = await run(made.finish)
        return done


class AsyncFiles(AsyncResource):
    """`client.files`, in event-loop style."""

    __slots__ = ()

    async def info(
        self, url: str, *, allow: Literal["unscannable"] | None = None, timeout: float | None = None
    ) -> FileInfo:
        """Return a file's name, content type and size: `HEAD /contents/{contentId}`."""
        return await _info(self._session, _Asked(url, allow, timeout=timeout))

    @overload
    async def download(
        self,
        url: str,
        *,
        to: None = None,
        **options: Unpack[DownloadOptions],
    ) -> bytes: ...

    @overload
    async def download(
        self,
        url: str,
        *,
        to: str | os.PathLike[str],
        **options: Unpack[DownloadOptions],
    ) -> Path: ...

    @overload
    async def download(
        self,
        url: str,
        *,
        to: BinaryIO,
        **options: Unpack[DownloadOptions],
    ) -> bytes: ...

    @overload
    async def download(
        self,
        url: str,
        *,
        to: Target,
        **options: Unpack[DownloadOptions],
    ) -> bytes | Path: ...

    async def download(
        self,
        url: str,
        *,
        to: Target = None,
        allow: Literal["unscannable"] | None = None,
        on_progress: Progress | None = None,
        timeout: float | None = None,
        idle_timeout: float | None = None,
        max_size: int | None = None,
    ) -> bytes | Path:
        """`GET /contents/{contentId}`: the bytes; with `to`, saved at a path, into a folder, or to a file object.

        Gives the bytes, or the path of the saved file (empty bytes for a file object). In a folder the file has the
        sender's name and never replaces another: it becomes `name (2).txt`. `on_progress` gets the bytes that came so
        far, and in all where that is known.

        timeout: seconds for the whole download, instead of the client's; without one of either, an hour.
        idle_timeout: seconds until the file begins to come, and between two pieces of it.
        max_size: bytes; more is `ResponseTooLargeError`.
        """
        if on_progress is not None:
            check_function("on_progress", on_progress)
        asked = _Asked(url, allow, on_progress, timeout, idle_timeout, max_size)
        return await _download(self._session, asked, to)


class Files(Resource):
    """`client.files`, in blocking style."""

    __slots__ = ()

    def info(self, url: str, *, allow: Literal["unscannable"] | None = None, timeout: float | None = None) -> FileInfo:
        """Return a file's name, content type and size: `HEAD /contents/{contentId}`."""
        return self._drive(_info(self._session, _Asked(url, allow, timeout=timeout)))

    @overload
    def download(
        self,
        url: str,
        *,
        to: None = None,
        **options: Unpack[DownloadOptions],
    ) -> bytes: ...

    @overload
    def download(
        self,
        url: str,
        *,
        to: str | os.PathLike[str],
        **options: Unpack[DownloadOptions],
    ) -> Path: ...

    @overload
    def download(
        self,
        url: str,
        *,
        to: BinaryIO,
        **options: Unpack[DownloadOptions],
    ) -> bytes: ...

    @overload
    def download(
        self,
        url: str,
        *,
        to: Target,
        **options: Unpack[DownloadOptions],
    ) -> bytes | Path: ...

    def download(
        self,
        url: str,
        *,
        to: Target = None,
        allow: Literal["unscannable"] | None = None,
        on_progress: Progress | None = None,
        timeout: float | None = None,
        idle_timeout: float | None = None,
        max_size: int | None = None,
    ) -> bytes | Path:
        """`GET /contents/{contentId}`: the bytes, or saved `to` a place; see `AsyncFiles.download`."""
        if on_progress is not None:
            check_function("on_progress", on_progress)
        asked = _Asked(url, allow, on_progress, timeout, idle_timeout, max_size)
        return self._drive(_download(self._session, asked, to))
