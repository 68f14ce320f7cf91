"""Mercury: brings events to the sockets of people's devices, and keeps them until they are acknowledged.

`push` is called with the cloud's lock held, from any thread, and never waits: it hands each socket its frame and wakes
the event loop once for however many frames there are.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator import directory
from webex.emulator.realtime import close_codes, presence
from webex.emulator.realtime.channel import Channel, Event, Frame
from webex.emulator.realtime.close_codes import ABRUPT, GONE, MOVED, REPLACED
from webex.emulator.realtime.faults import MercuryFaults, change

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.realtime.socket import Socket
    from webex.emulator.state import Device

_ROUTES: Final = ("conversation", "locus", "encryption", "apheleia", "mercury")


class Mercury:
    """The sockets of a cloud. `faults` spoils what they carry."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.faults: MercuryFaults = MercuryFaults()
        self.opened_count: int = 0  # how many sockets became ready, ever
        self._changed = threading.Condition(cloud.lock)  # a socket became ready, or went
        self._channels: dict[str, dict[str, Channel]] = {}  # by person, then registration
        self._sockets: set[Socket] = set()  # all that are open, ready or not
        self._woken: dict[asyncio.AbstractEventLoop, list[Socket]] = {}
        self._paused: list[Event] | None = None

    # What services use

    def push(
        self,
        person_ids: Iterable[str],
        data: dict[str, Any],
        *,
        keep: bool = True,
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Send an event to every device of these people; `keep` has it wait for those that are not connected.

        `headers` stands beside `data`: dotted paths and values that take the place of what `data` says.
        """
        people = list(person_ids)
        self.push_by_base(people, dict.fromkeys(self.bases(people), data), keep=keep, headers=headers)

    def push_by_base(
        self,
        person_ids: Iterable[str],
        events: Mapping[str, dict[str, Any]],
        *,
        keep: bool = True,
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Send an event whose URLs differ by the scheme and host of the client: one form for each of `bases`."""
        people = [person_id for person_id in dict.fromkeys(person_ids) if person_id in self._channels]
        if people:
            by_base = {base: msgspec.Raw(msgspec.json.encode(each)) for base, each in events.items()}
            type_ = str(next(iter(events.values())).get("eventType", ""))
            event = Event(people, type_, by_base, keep, headers)
            if self._paused is not None:
                self._paused.append(event)
            else:
                self._push(event)

    def _push(self, event: Event) -> None:
        cloud = self._cloud
        now, settings = cloud.now(), cloud.settings
        for person_id in event.people:
            for channel in self._channels.get(person_id, {}).values():
                if not channel.takes(event, now):
                    continue
                data = event.by_base.get(self._base(channel.device))
                if data is None:  # the device was renewed by another base while events were held back
                    data = next(iter(event.by_base.values()))
                frame = self._frame(data, headers=event.headers, kept=event.keep, type=event.type)
                if event.keep:
                    channel.trim(now, settings.redelivery_window)
                    channel.keep(frame, settings.redelivery_limit)
                for socket in tuple(channel.sockets):
                    socket.put(frame)

    def bases(self, person_ids: Iterable[str]) -> list[str]:
        """List the schemes and hosts by which the clients of these people reach the cloud, at least one."""
        channels = (channel for person_id in person_ids for channel in self._channels.get(person_id, {}).values())
        return list(dict.fromkeys(self._base(channel.device) for channel in channels)) or [self._cloud.url]

    def _base(self, device: Device) -> str:
        return device.base or self._cloud.url  # without one it was not registered by a request

    def push_later(self, delay: float, person_id: str, data: dict[str, Any]) -> None:
        """Send an event that is not kept, real seconds from now, to who is connected now."""
        loop = next((socket.loop for socket in self._sockets if socket.channel.device.person_id == person_id), None)

        def push() -> None:
            with self._cloud.lock:
                self.push([person_id], data, keep=False)

        if loop is not None:
            with suppress(RuntimeError):  # the loop ended
                loop.call_soon_threadsafe(loop.call_later, delay, push)

    # What a test does

    def connections(self, who: str | None = None) -> int:
        """How many sockets are ready."""
        with self._cloud.lock:
            return sum(socket.ready for socket in self._those(who))

    def wait(self, connections: int = 1, who: str | None = None, timeout: float = 10.0) -> None:
        """Wait until so many sockets are ready; `TimeoutError` after `timeout` real seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.connections(who) == connections, timeout):
                found = self.connections(who)
                raise TimeoutError(f"{found} sockets are ready after {timeout:g} s, not {connections}.")

    def unacknowledged(self, who: str | None = None) -> int:
        """How many events wait for an acknowledgement."""
        with self._cloud.lock:
            people = self._channels if who is None else [directory.require_person(self._cloud, who).id]
            return sum(len(channel.unacked) for person in people for channel in self._channels.get(person, {}).values())

    def channels(self) -> list[Channel]:
        """List every registration with its sockets and the events that wait for it."""
        with self._cloud.lock:
            return [channel for channels in self._channels.values() for channel in channels.values()]

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change faults by name; gives all of them. See `MercuryFaults`."""
        if changes.get("close_before_state"):
            close_codes.check(changes["close_before_state"], str(changes.get("close_reason", "")))
        with self._cloud.lock:
            return msgspec.structs.asdict(change(self.faults, changes))

    def drop(self, who: str | None = None, code: int = ABRUPT, reason: str = "") -> int:
        """Close sockets: 1006 cuts the connection, 1005 says no code, any other is said. Gives how many."""
        close_codes.check(code, reason)
        with self._cloud.lock:
            return sum(socket.close(code, reason) for socket in list(self._those(who)))

    def shutdown(self, who: str | None = None) -> int:
        """Tell sockets that they end soon; each is closed (4001) once its client has opened another. Gives how many."""
        cloud = self._cloud
        with cloud.lock:
            found = [socket for socket in self._those(who) if socket.ready and not socket.leaving]
            for socket in found:
                socket.leaving = True
                data = msgspec.Raw(msgspec.json.encode({"eventType": "mercury.shutdown"}))
                socket.put(self._frame(data, kept=False, spoilable=False, kind="shutdown"))
            return len(found)

    def lose(self, who: str | None = None) -> int:
        """Forget what waits for an acknowledgement, as after the window. Gives how many."""
        with self._cloud.lock:
            people = list(self._channels) if who is None else [directory.require_person(self._cloud, who).id]
            return sum(channel.lose() for person in people for channel in self._channels.get(person, {}).values())

    def expire_devices(self, who: str | None = None) -> int:
        """Forget devices as if their time had come: their sockets close (4404). Gives how many."""
        cloud = self._cloud
        with cloud.lock:
            found = cloud.devices.all(directory.require_person(cloud, who).id if who is not None else None)
            for device in found:
                cloud.devices.remove(device)
            return len(found)

    def check(self, who: str | None = None) -> int:
        """Close sockets whose token ended (4401) or whose device expired (4404). Gives how many."""
        cloud = self._cloud
        closed = 0
        with cloud.lock:
            now = cloud.now()
            for socket in list(self._those(who)):
                token = socket.token
                if token is not None and (token.value not in cloud.state.tokens or token.expires <= now):
                    closed += socket.close(4401, "Not authorized")
                elif socket.channel.device.expires <= now:
                    closed += socket.close(*GONE)
        return closed

    def pause(self) -> None:
        """Hold events back until `resume`; pings are answered."""
        with self._cloud.lock:
            self._paused = self._paused if self._paused is not None else []

    def resume(self) -> None:
        """Send what was held back, in order."""
        with self._cloud.lock:
            held, self._paused = self._paused or [], None
            for event in held:
                self._push(event)

    def reset(self) -> None:
        """No faults, nothing held back."""
        self.faults = MercuryFaults()
        self._paused = None

    # What devices and sockets use, with the cloud's lock held

    def index(self) -> None:
        """Read the state anew; sockets of devices that are not in it close."""
        self._cloud.devices.index()
        old = {id_: channel for channels in self._channels.values() for id_, channel in channels.items()}
        self._channels = {}
        for device in self._cloud.state.devices.values():
            channel = old.pop(device.registration_id, None) or Channel(device)
            channel.device = device
            channel.unacked.clear()
            self._channels.setdefault(device.person_id, {})[device.registration_id] = channel
        for socket in list(self._sockets):
            if socket.channel.device.registration_id in old:
                socket.close(*GONE)

    def channel(self, device: Device) -> Channel:
        """Return the channel of a device, made on first use: from then on frames wait for it."""
        channels = self._channels.setdefault(device.person_id, {})
        return channels.setdefault(device.registration_id, Channel(device))

    def forget(self, device: Device) -> None:
        """Forget a device that is gone."""
        channels = self._channels.get(device.person_id, {})
        channel = channels.pop(device.registration_id, None)
        if not channels:
            self._channels.pop(device.person_id, None)
        for socket in [socket for socket in self._sockets if socket.channel is channel]:
            socket.close(*GONE)

    def attach(self, socket: Socket) -> None:
        """Add a socket that opened; it is not ready yet."""
        self._sockets.add(socket)

    def opened(self, socket: Socket) -> None:
        """Mark a socket ready: send the state frame and what waits; close others of its registration if necessary."""
        cloud, channel = self._cloud, socket.channel
        now, window = cloud.now(), cloud.settings.redelivery_window
        channel.trim(now, window)
        went = channel.left is not None and channel.left + window < now
        known = "IN_SYNC" if channel.continuous and not went else "UNKNOWN"
        data: dict[str, Any] = {"eventType": "mercury.buffer_state", "bufferState": dict.fromkeys(_ROUTES, known)}
        if socket.local_urls is not None:
            data |= {"eventType": "mercury.registration_status", "localClusterServiceUrls": socket.local_urls}
        state = self._frame(msgspec.Raw(msgspec.json.encode(data)), kept=False, spoilable=False)
        waiting = list(channel.unacked.values())
        for frame in [*waiting, state] if socket.strikes(self.faults.state_last) else [state, *waiting]:
            socket.put(frame)
        for other in [other for other in channel.sockets if other.leaving or not socket.multiple]:
            for item in list(other.outbox):  # what would be lost with it
                if isinstance(item, Frame) and item.spoilable and not item.kept:
                    socket.put(item)
            other.close(*(MOVED if other.leaving else REPLACED))
        if socket.closing is not None:
            return
        channel.sockets.append(socket)
        channel.continuous, channel.left = True, None
        socket.ready = True
        presence.sockets_changed(cloud, channel.device.person_id)
        self.opened_count += 1
        self._changed.notify_all()

    def detach(self, socket: Socket) -> None:
        """Remove a socket that is closed, or closing: nothing more is sent to it. Safe to call twice."""
        self._sockets.discard(socket)
        socket.ready = False
        self._changed.notify_all()
        channel = socket.channel
        if socket in channel.sockets:
            channel.sockets.remove(socket)
            if not channel.sockets:
                channel.left = self._cloud.now()
            presence.sockets_changed(self._cloud, channel.device.person_id)

    def wake(self, socket: Socket) -> None:
        """Let a socket's writer look at its outbox; one call a loop, however many sockets."""
        woken = self._woken.setdefault(socket.loop, [])
        woken.append(socket)
        if len(woken) == 1:
            try:
                socket.loop.call_soon_threadsafe(self._wake_all, socket.loop)
            except RuntimeError:  # the loop ended
                del self._woken[socket.loop]

    def _wake_all(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._cloud.lock:
            woken = self._woken.pop(loop, [])
        for socket in woken:
            socket.wake.set()
            if socket.closing is not None:
                socket.ended.set()

    def _frame(self, data: msgspec.Raw, **more: Any) -> Frame:
        cloud = self._cloud
        return Frame(cloud.new_uuid(), data, cloud.now(), f"EMULATOR_{cloud.new_uuid()}", **more)

    def _those(self, who: str | None) -> Iterator[Socket]:
        person_id = directory.require_person(self._cloud, who).id if who is not None else None
        belongs: Callable[[Socket], bool] = lambda socket: (  # noqa: E731
            person_id is None or socket.channel.device.person_id == person_id
        )
        return filter(belongs, self._sockets)
