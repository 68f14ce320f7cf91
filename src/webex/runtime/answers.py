"""What every transport does alike, whatever its library: checks before sending, header text, sizes, decompression."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from webex.errors import (
    ConfigurationError,
    ConnectDeadlineError,
    ConnectError,
    DeadlineError,
    FileError,
    ResponseTooLargeError,
    TransportError,
)
from webex.runtime.protocol import MAX_HEAD_SIZE, MAX_HEADERS

if TYPE_CHECKING:
    from webex.runtime.protocol import WireRequest

ACCEPT_ENCODING: Final = "gzip, deflate"
CHUNK: Final = 64 * 1024
LATE: Final = 0.2  # seconds behind its time at which a limit takes it that the process was stopped
GRACE: Final = 0.25  # seconds to read, after that, what has come meanwhile

_unfit_for_urls = re.compile(r"[\x00-\x20\x7f]").search
_unfit_for_headers = re.compile(r"[\x00\r\n]").search
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_MOST_LAYERS: Final = 5  # of compression on one body


def host_of(url: str) -> str:
    """Return the host of a URL, for messages."""
    try:
        return urlsplit(url).hostname or "the host"
    except ValueError:
        return "the host"


def sent_headers(request: WireRequest) -> dict[str, str]:
    """Return the headers to send, with what all transports add; `ConfigurationError` for one that can't be sent."""
    headers = dict(request.headers)
    if _unfit_for_urls(request.url):
        raise ConfigurationError("The request's URL holds a space or a control character, so nothing was sent.")
    for name, value in headers.items():
        if _unfit_for_headers(value):
            raise ConfigurationError(f"The header {name!r} holds a line break or NUL, so nothing was sent.")
    if "accept-encoding" not in headers and "Accept-Encoding" not in headers:
        headers["accept-encoding"] = ACCEPT_ENCODING
    if request.content_length is not None and not isinstance(request.body, bytes | None):
        headers["content-length"] = str(request.content_length)
    return headers


def header_text(value: str) -> str:
    """Decode octets that a library decoded as Latin-1: UTF-8 if that is what they are (RFC 9110 §5.5)."""
    try:
        text = value.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        text = value
    return " ".join(text.split()) if "\n" in text else text  # a folded line


def joined(pairs: Iterable[tuple[str, str]], host: str) -> dict[str, str]:
    """Headers with lower-case names, repeated ones joined; `ResponseTooLargeError` above the limits of a head."""
    headers: dict[str, str] = {}
    count = size = 0
    for name, value in pairs:
        count += 1
        size += len(name) + len(value) + 4
        name = name.lower()
        if name in headers:
            value = f"{headers[name]}, {value}"
        headers[name] = value
    if count > MAX_HEADERS or size > MAX_HEAD_SIZE:
        raise head_too_large(host)
    return headers


class BodyReader:
    """Turns the bytes of an answer's body into its content, and counts it while it comes."""

    __slots__ = ("_coded", "_cut", "_host", "_layers", "_limit", "_pieces", "_size")

    def __init__(self, status: int, headers: Mapping[str, str], request: WireRequest) -> None:
        self._cut = request.max_error_size if status >= 400 and not request.stream else None
        self._limit = request.max_size if self._cut is None else None
        self._host = request.url
        self._pieces: list[bytes] = []
        self._size = 0
        coding = headers.get("content-encoding")
        self._layers = _layers_of(coding) if coding else []
        self._coded = coding

    def takes_at_once(self, length: int | None) -> bool:
        """Whether a body of this length can be taken in one piece, as it is."""
        if self._layers or length is None:
            return False
        most = self._limit if self._cut is None else self._cut
        return most is None or length <= most

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decompress bytes in pieces of bounded size; `ResponseTooLargeError` above the limit."""
        try:
            for piece in _through(self._layers, data):
                self._size += len(piece)
                if self._limit is not None and self._size > self._limit:
                    raise ResponseTooLargeError(
                        f"The answer of {host_of(self._host)} is larger than {self._limit:,} bytes, so reading ended."
                    )
                yield piece
        except zlib.error:
            raise TransportError(f"The answer's {self._coded} compression is broken.") from None

    def keep(self, data: bytes) -> bool:
        """Keep the content of some bytes; False when enough of an error's body is there."""
        for piece in self.pieces(data):
            self._pieces.append(piece)
            if self._cut is not None and self._size >= self._cut:
                return False
        return True

    def end(self) -> None:
        """Check that compression has ended with the body."""
        for layer in self._layers:
            if layer.began and not layer.ended:
                raise TransportError("The answer was cut off in the middle of its compression.")

    def content(self) -> bytes:
        """All that was kept."""
        whole = b"".join(self._pieces)
        return whole if self._cut is None else whole[: self._cut]


class _Layer:
    """One content coding; may consist of several members, as gzip does."""

    __slots__ = ("_inflate", "_wbits", "began", "ended")

    def __init__(self, coding: str) -> None:
        self._wbits = 31 if coding == "gzip" else 0  # 0: told by the first byte
        self._inflate: zlib._Decompress | None = None
        self.began = False
        self.ended = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self.began = self.began or bool(data)
        while data:
            if self.ended:
                if self._wbits != 31 or data[0] != 0x1F:
                    return  # padding after the end
                self._inflate, self.ended = None, False
            if self._inflate is None:
                wbits = self._wbits or (15 if data[0] & 0x0F == 8 else -15)
                self._inflate = zlib.decompressobj(wbits)
            piece = self._inflate.decompress(data, CHUNK)
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self.ended = True
                data = self._inflate.unused_data
            if piece:
                yield piece
            elif not data and not self._inflate.eof:
                return
            if not data and not self._inflate.eof and len(piece) == CHUNK:
                while more := self._inflate.decompress(b"", CHUNK):  # output that waits without input
                    yield more


def _layers_of(coding: str) -> list[_Layer]:
    names = [name.strip().lower().removeprefix("x-") for name in coding.split(",")]
    known = [name for name in names if name not in ("", "identity")]
    if not all(name in ("gzip", "deflate") for name in known):
        return []  # something that was not asked for: given as it came
    if len(known) > _MOST_LAYERS:
        raise TransportError(f"The answer is compressed {len(known)} times over.")
    return [_Layer(name) for name in reversed(known)]


def _through(layers: list[_Layer], data: bytes) -> Iterator[bytes]:
    if not layers:
        if data:
            yield data
        return
    for piece in layers[0].pieces(data):
        yield from _through(layers[1:], piece)


class WholeAnswer:
    """An answer that was read to its end."""

    __slots__ = ("_body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status: int = status
        self.headers: Mapping[str, str] = headers
        self._body = body

    async def read(self) -> bytes:
        """Read the whole body."""
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, in one piece."""
        yield self._body

    async def close(self) -> None:
        """There is nothing to let go of."""


async def measured(body: AsyncIterator[bytes], length: int | None, broken: list[BaseException]) -> AsyncIterator[bytes]:
    """Pass a body's pieces on, check that they are as many bytes as announced, and note what its source raises."""
    sent = 0
    try:
        async for piece in body:
            if not piece:
                continue  # an empty chunk would be the end
            sent += len(piece)
            if length is not None and sent > length:
                break
            yield piece
        if length is not None and sent != length:
            kind = "more" if sent > length else f"{sent:,}"
            raise FileError(f"A body of {length:,} bytes was announced, and its source gave {kind}.")
    except Exception as error:
        broken.append(error)
        raise


def cannot_connect(host: str, why: str) -> ConnectError:
    """No connection stands, and nothing was sent."""
    hint = (
        " Is the emulator running? It is started by: webex emulator"
        if host in _LOOPBACK and "refused" in why.lower()
        else ""
    )
    return ConnectError(f"No connection to {host} could be made: {why}.{hint}")


def out_of_time(host: str, *, sent: bool) -> DeadlineError:
    """Return the error of an exchange that ran out of time."""
    if sent:
        return DeadlineError(f"No complete answer of {host} came within the time-out.")
    return ConnectDeadlineError(f"No connection to {host} was free or made within the time-out; nothing was sent.")


def idle_too_long(host: str, seconds: float) -> DeadlineError:
    """Return the error of a stream that stopped."""
    return DeadlineError(f"Nothing more of the answer of {host} came for {seconds:g} s.")


def head_too_large(host: str) -> ResponseTooLargeError:
    """Return the error of an answer whose headers are beyond the limits."""
    return ResponseTooLargeError(
        f"The answer's headers of {host} are larger than {MAX_HEAD_SIZE:,} bytes or more than {MAX_HEADERS}."
    )
