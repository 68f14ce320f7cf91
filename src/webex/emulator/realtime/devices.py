"""The devices of a cloud: registering, finding, renewing and forgetting them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.state import Device
from webex.emulator.wire import Problem

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud

TOO_MANY: Final = "User has excessive device registrations"


class Devices:
    """The records are in the cloud's state; beside them stand indexes. The caller holds the cloud's lock."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._of: dict[str, dict[str, None]] = {}
        self._registrations: dict[str, str] = {}
        self.index()

    def index(self) -> None:
        """Read the state anew."""
        self._of.clear()
        self._registrations.clear()
        for device in self._cloud.state.devices.values():
            self._add(device)

    def register(self, person_id: str, fields: Mapping[str, Any], ttl: float | None) -> Device:
        """Register a device; `Problem` 403 when the person has too many."""
        cloud = self._cloud
        now = cloud.now()
        for old in [device for device in self._all_of(person_id) if device.expires <= now]:
            self.remove(old)
        if len(self._of.get(person_id, ())) >= cloud.settings.max_devices:
            raise Problem(403, TOO_MANY)
        device = Device(
            id=cloud.new_uuid(),
            registration_id=cloud.new_uuid(),
            person_id=person_id,
            created=now,
            modified=now,
            expires=now + (ttl if ttl is not None else cloud.settings.device_ttl),
            ttl=ttl,
            fields=dict(fields),
        )
        cloud.state.devices[device.id] = device
        self._add(device)
        cloud.mercury.channel(device)
        return device

    def renew(self, device: Device, fields: Mapping[str, Any], ttl: float | None) -> None:
        """Let it live anew, with what changed about it."""
        now = self._cloud.now()
        device.fields.update(fields)
        device.ttl = ttl if ttl is not None else device.ttl
        device.modified = now
        device.expires = now + (device.ttl if device.ttl is not None else self._cloud.settings.device_ttl)

    def of(self, person_id: str) -> list[Device]:
        """Return the live devices of a person, the oldest first."""
        now = self._cloud.now()
        return [device for device in self._all_of(person_id) if device.expires > now]

    def all(self, person_id: str | None = None) -> list[Device]:
        """Every device, or every one of a person, live or not."""
        return list(self._cloud.state.devices.values()) if person_id is None else list(self._all_of(person_id))

    def find(self, device_id: str, person_id: str) -> Device | None:
        """Return a live device of this person."""
        device = self._cloud.state.devices.get(device_id)
        if device is None or device.person_id != person_id or device.expires <= self._cloud.now():
            return None
        return device

    def by_registration(self, registration_id: str) -> Device | None:
        """Return the live device whose socket has this registration in its URL."""
        device = self._cloud.state.devices.get(self._registrations.get(registration_id, ""))
        return device if device is not None and device.expires > self._cloud.now() else None

    def remove(self, device: Device) -> None:
        """Forget a device; its sockets are closed."""
        self._cloud.state.devices.pop(device.id, None)
        self._registrations.pop(device.registration_id, None)
        mine = self._of.get(device.person_id, {})
        mine.pop(device.id, None)
        if not mine:
            self._of.pop(device.person_id, None)
        self._cloud.mercury.forget(device)

    def _add(self, device: Device) -> None:
        self._of.setdefault(device.person_id, {})[device.id] = None
        self._registrations[device.registration_id] = device.id

    def _all_of(self, person_id: str) -> Iterable[Device]:
        devices = self._cloud.state.devices
        return [devices[device_id] for device_id in self._of.get(person_id, ())]
