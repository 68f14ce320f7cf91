"""An emulator as a transport of the SDK: no socket, the same application, both styles.

It stands here and not in the emulator because it speaks the SDK's errors, which the emulator may not know.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from webex.errors import DeadlineError, TransportError

if TYPE_CHECKING:
    from webex.emulator import Cloud
    from webex.emulator.inprocess import Answer
    from webex.runtime.protocol import WireRequest


class EmulatorTransport:
    """Sends requests to a cloud of this process, whatever host they name: `Config(transport=cloud.transport())`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def send(self, request: WireRequest) -> EmulatorResponse:
        """One request, one answer; `DeadlineError` when a latency fault outlasts the request's time."""
        from webex.emulator.inprocess import ConnectionDroppedError, send

        pause = _Pause(request.timeout)
        try:
            answer = await send(
                self._cloud,
                request.method,
                request.url,
                headers=request.headers,
                body=request.body,
                sleep=pause.wait,
            )
        except ConnectionDroppedError as error:
            raise TransportError(str(error)) from error
        except _ExpiredError:
            raise DeadlineError(f"The emulator did not answer within the request's {request.timeout} s.") from None
        return EmulatorResponse(answer)

    async def aclose(self) -> None:
        """There is nothing to close."""


class EmulatorResponse:
    """One answer; its whole body is here already."""

    def __init__(self, answer: Answer) -> None:
        self.status: int = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer

    async def read(self) -> bytes:
        """Read the whole body; `TransportError` when it was cut off."""
        if self._answer.broken:
            raise TransportError("The connection was closed in the middle of the body.")
        return self._answer.content

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body piece by piece."""
        for piece in self._answer.pieces:
            yield piece
        if self._answer.broken:
            raise TransportError("The connection was closed in the middle of the body.")

    async def close(self) -> None:
        """There is nothing to let go of."""


class _ExpiredError(BaseException):
    """The request's time is over. No `Exception`, so that the application does not take it for a fault of its own."""


class _Pause:
    """Waits as the style allows, and no longer than the request may take."""

    def __init__(self, timeout: float | None) -> None:
        self._deadline = time.monotonic() + timeout if timeout is not None else None

    async def wait(self, seconds: float) -> None:
        left = seconds if self._deadline is None else min(seconds, max(0.0, self._deadline - time.monotonic()))
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            time.sleep(left)  # noqa: ASYNC251 - blocking style has no event loop
        else:
            await asyncio.sleep(left)
        if left < seconds:
            raise _ExpiredError
