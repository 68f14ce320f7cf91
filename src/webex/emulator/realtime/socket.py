"""One Mercury socket: it authorizes its client, answers pings, takes acknowledgements, and writes what it is given.

It lives on the event loop of the server. Other threads reach it through `put` and `close`, with the cloud's lock held;
they never wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator.realtime.close_codes import ABRUPT, NO_CODE

if TYPE_CHECKING:
    from webex.emulator.app import Receive, Scope, Send
    from webex.emulator.cloud import Cloud
    from webex.emulator.realtime.channel import Channel, Frame
    from webex.emulator.state import Token

log: logging.Logger = logging.getLogger(__name__)

_REORDER_PATIENCE: Final = 0.25  # real seconds that a frame waits for another one to change places with
_LONGEST_QUEUE: Final = 10_000


class Socket:
    """One connection of a client. `put` writes to it, `close` ends it."""

    def __init__(
        self,
        cloud: Cloud,
        channel: Channel,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        multiple: bool,
        local_urls: dict[str, str] | None = None,
    ) -> None:
        self.channel = channel
        self.multiple = multiple  # others of the same registration may stay open
        self.local_urls = local_urls  # told to who asked for the status of the registration
        self.ready = False
        self.leaving = False  # it was told to move to a new socket
        self.token: Token | None = None
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.wake: asyncio.Event = asyncio.Event()
        self.ended: asyncio.Event = asyncio.Event()  # cuts a pause short
        self.outbox: deque[Frame | dict[str, Any]] = deque()
        self.closing: tuple[int, str] | None = None
        self._cloud, self._scope, self._receive, self._send = cloud, scope, receive, send
        self._sequence = 0

    # From any thread, with the cloud's lock held

    def put(self, frame: Frame) -> None:
        """Write an event after all that waits to be written."""
        if len(self.outbox) >= max(_LONGEST_QUEUE, 2 * self._cloud.settings.redelivery_limit):
            self.close(ABRUPT)  # it does not read
            return
        self.outbox.append(frame)
        self._cloud.mercury.wake(self)

    def close(self, code: int, reason: str = "") -> bool:
        """End it, before whatever waits to be written; `False` when it ends already."""
        if self.closing is not None:
            return False
        self.closing = (code, reason)
        self._cloud.mercury.detach(self)
        self._cloud.mercury.wake(self)
        if code == ABRUPT:
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._cut)
        return True

    # On the event loop

    async def run(self) -> None:
        """Serve it until it ends."""
        writer = asyncio.create_task(self._write())
        mercury = self._cloud.mercury
        try:
            with self._cloud.lock:
                mercury.attach(self)
            await self._serve()
        finally:
            with self._cloud.lock:
                mercury.detach(self)
            if self.closing is None:
                writer.cancel()
            for failure in await asyncio.gather(writer, return_exceptions=True):
                if isinstance(failure, Exception):
                    log.error("A Mercury socket's writer failed.", exc_info=failure)

    async def _serve(self) -> None:
        patience = self._cloud.settings.mercury_auth_timeout
        try:
            async with asyncio.timeout(patience):
                while self.token is None:
                    if not await self._take():
                        return
        except TimeoutError:
            reason = f"Authentication did not happen within the timeout window of {patience * 1000:.0f} seconds."
            with self._cloud.lock:
                self.close(1008, reason)
            return
        faults = self._cloud.mercury.faults
        if faults.state_delay:
            await self._pause(faults.state_delay)
        with self._cloud.lock:
            if faults.close_before_state and faults.close_count != 0:
                if faults.close_count is not None:
                    faults.close_count -= 1
                self.close(faults.close_before_state, faults.close_reason)
            if self.closing is not None:
                return
            self._cloud.mercury.opened(self)
        while await self._take():
            pass

    async def _take(self) -> bool:
        """Take what the client says next; `False` at the end."""
        message = await self._receive()
        if message["type"] != "websocket.receive" or self.closing is not None:
            return False
        text = message.get("text")
        try:
            frame = msgspec.json.decode(text if text is not None else message["bytes"])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return True
        if not isinstance(frame, dict):
            return True
        kind = frame.get("type")
        if self.token is None:
            return kind != "authorization" or self._authorize(frame)
        faults = self._cloud.mercury.faults
        if kind == "ping" and isinstance(frame.get("id"), str):
            if not self.strikes(faults.pong_lost):
                id_ = self._cloud.new_uuid() if self.strikes(faults.pong_wrong_id) else frame["id"]
                self.outbox.append({"id": id_, "type": "pong", "data": {}})
                self.wake.set()
        elif kind == "ack" and isinstance(frame.get("messageId"), str) and not self.strikes(faults.ack_lost):
            with self._cloud.lock:
                self.channel.acknowledge(frame["messageId"])
        return True

    def _authorize(self, frame: dict[str, Any]) -> bool:
        data = frame.get("data")
        value = data.get("token") if isinstance(data, dict) else None
        text = value.strip() if isinstance(value, str) else ""
        if text[:7].lower() == "bearer ":
            text = text[7:].strip()
        cloud = self._cloud
        with cloud.lock:
            token = cloud.state.tokens.get(text)
            if token is None or token.expires <= cloud.now():
                self.close(4401, "Not authorized")
                return False
            if token.person_id != self.channel.device.person_id:
                self.close(4403, "Forbidden")
                return False
        self.token = token
        return True

    async def _write(self) -> None:
        with suppress(OSError):  # the client went
            while self.closing is None:
                if not self.outbox:
                    self.wake.clear()
                    if not self.outbox and self.closing is None:
                        await self.wake.wait()
                    continue
                await self._write_one(self.outbox.popleft())
            code, reason = self.closing
            if code == NO_CODE:
                await self._send({"type": "websocket.close", "code": None})
            elif code != ABRUPT:
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _write_one(self, item: Frame | dict[str, Any]) -> None:
        if isinstance(item, dict):
            without = self.strikes(self._cloud.mercury.faults.pong_without_number)
            await self._send(self._text(item if without else self._numbered(item)))
            return
        faults = self._cloud.mercury.faults
        if not self._suffers(item):
            await self._send_frame(item)
            return
        if faults.delay:
            await self._pause(faults.delay)
        if self.strikes(faults.lost):
            self._sequence += 1
            with self._cloud.lock:
                self.channel.acknowledge(item.id)
            return
        if self.strikes(faults.wrong_json):
            await self._send({"type": "websocket.send", "text": '{"id": "'})
        if self.strikes(faults.reorder):
            # The numbers are given before they change places: that is how a client can tell.
            self._sequence += 1
            number = self._sequence
            other = await self._next()
            if other is not None:
                await self._write_unspoilt(other)
            await self._send_frame(item, number)
        else:
            await self._send_frame(item)
        if self.strikes(faults.duplicate):
            await self._send_frame(item)
        if self.strikes(faults.drop_after):
            with self._cloud.lock:
                self.close(ABRUPT)

    async def _write_unspoilt(self, item: Frame | dict[str, Any]) -> None:
        if isinstance(item, dict):
            await self._send(self._text(self._numbered(item)))
        else:
            await self._send_frame(item)

    async def _next(self) -> Frame | dict[str, Any] | None:
        """Return what is written next; wait for it."""
        if not self.outbox:
            self.wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), _REORDER_PATIENCE)
        return self.outbox.popleft() if self.outbox else None

    async def _send_frame(self, frame: Frame, number: int | None = None) -> None:
        faults, suffers = self._cloud.mercury.faults, self._suffers(frame)
        body: dict[str, Any] = {"id": frame.id, "data": frame.data}
        if frame.kind is not None:
            body["type"] = frame.kind
        headers = {**(frame.headers or {}), **(faults.headers if suffers else {})}
        if headers:
            body["headers"] = headers
        body["timestamp"] = int(frame.pushed * 1000)
        body["trackingId"] = frame.tracking_id
        if suffers and self.strikes(faults.frame_without_id):
            del body["id"]
        if suffers and self.strikes(faults.number_gap):
            self._sequence += 1
        if number is not None:
            body["sequenceNumber"] = number
        elif not (suffers and self.strikes(faults.frame_without_number)):
            body = self._numbered(body)
        message = self._text(body)
        if suffers and self.strikes(faults.binary):
            message = {"type": message["type"], "bytes": message["text"].encode()}
        await self._send(message)

    def _numbered(self, body: dict[str, Any]) -> dict[str, Any]:
        """With the next number: one counter for all frames of the connection, pongs included."""
        self._sequence += 1
        return {**body, "sequenceNumber": self._sequence}

    def _text(self, body: dict[str, Any]) -> dict[str, Any]:
        body = {**body, "wsWriteTimestamp": int(self._cloud.now() * 1000)}
        return {"type": "websocket.send", "text": msgspec.json.encode(body).decode()}

    def _suffers(self, frame: Frame) -> bool:
        return frame.spoilable and frame.type.startswith(self._cloud.mercury.faults.only)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)

    def strikes(self, chance: float) -> bool:
        """Whether a fault of this chance happens now."""
        return chance > 0 and (chance >= 1 or self._cloud.random.random() < chance)

    def _cut(self) -> None:
        cut_connection(self._scope, self._send)


def cut_connection(scope: Scope, send: Send) -> None:
    """Break a connection without a word. ASGI has none for it: uvicorn's `send` knows its transport."""
    if "webex.drop" in scope:
        scope["webex.drop"]()
        return
    owner = getattr(send, "__self__", None)
    if owner is not None:
        owner.transport.abort()
