"""Register devices with WDM, which gives a user a Mercury socket (mercury §2).

One device for each user and name is kept in the bounded storage and reused. A device that the cloud forgot is
registered anew; when there are too many, the oldest of the SDK's own are deleted.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from webex.config import is_loopback_host
from webex.config.values import split_url
from webex.errors import (
    ApiError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RealtimeError,
    WebexError,
)
from webex.http.types import Response
from webex.ids import is_uuid
from webex.realtime.records import DEFAULT_NAME, NAMESPACE
from webex.storage.formats import check_format, with_format
from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.types import HostPolicy
    from webex.realtime.service_client import ServiceClient
    from webex.storage.access import StorageAccess

_logger = logging.getLogger("webex.realtime")

DEVICE_TYPE: Final = "DESKTOP"
_EXCESSIVE: Final = "User has excessive device registrations"
_NOT_SENT_BACK: Final = ("features", "mediaCluster", "etag")
_KEEP_AT_LEAST: Final = 2


@dataclass(slots=True)
class Device:
    """A registration. `record` is what WDM answered."""

    url: str
    socket_url: str = field(repr=False)
    user_id: str
    org_id: str = ""
    etag: str | None = None
    record: dict[str, Any] = field(default_factory=dict, repr=False)
    fresh: bool = False  # the cloud holds nothing from before it, and that was not listed yet

    @property
    def developer_features(self) -> dict[str, Any]:
        """The toggles of the service's developers, by key."""
        return read_features(self.record.get("features"), "developer")


class Devices:
    """Keep the registration of one user under one name."""

    def __init__(
        self,
        services: ServiceClient,
        storage: StorageAccess,
        owner: tuple[str, ...],
        *,
        name: str = DEFAULT_NAME,
        ttl: int | None = None,
    ) -> None:
        self._services, self._storage = services, storage
        self._key = path(*owner, "device")
        self._name, self._ttl = name, ttl
        self.current: Device | None = None
        self._turn = asyncio.Lock()

    @property
    def refresh_after(self) -> float | None:
        """Seconds after which a registration with a `ttl` has to be refreshed."""
        return None if self._ttl is None else self._ttl / 2 + 60

    async def ensure(self) -> Device:
        """Return the registration: the present one, the stored one (refreshed), or a new one."""
        async with self._turn:
            return await self._ensure()

    async def refresh(self) -> Device:
        """Refresh the registration; register anew when the cloud has forgotten it.

        Concurrent callers share one refresh.
        """
        before = self.current
        async with self._turn:
            if self.current is not before and self.current is not None:
                return self.current
            return await self._refresh()

    async def _ensure(self) -> Device:
        if self.current is not None:
            return self.current
        stored = await self._storage.get_or_none(NAMESPACE, self._key) if self._ttl is None else None
        check_format(stored, "The data of a device")
        if isinstance(stored, dict):
            try:
                self.current = _read(stored["record"], stored.get("etag"))
                self.current.fresh = bool(stored.get("fresh"))
            except (DecodeError, KeyError):
                _logger.debug("the stored device can't be read; registering anew")
            else:
                return await self._refresh()
        return await self._register()

    async def _register(self) -> Device:
        """Register a new device; `ApiError` when WDM refuses."""
        try:
            response = await self._post()
        except PermissionDeniedError as error:
            if _EXCESSIVE not in str(error):
                raise
            await self._make_room()
            response = await self._post()
        device = _read(response.json(), response.headers.get("etag"))
        device.fresh = True
        await self._keep(device)
        return device

    async def _refresh(self) -> Device:
        device = self.current
        if device is None:
            return await self._ensure()
        body = {name: value for name, value in device.record.items() if name not in _NOT_SENT_BACK}
        headers = {"if-none-match": device.etag} if device.etag else {}
        try:
            response = await self._services.send(
                "PUT",
                device.url,
                params={"includeUpstreamServices": "all"},
                json={**body, **self._body()},
                headers=headers,
            )
        except NotFoundError:
            await self._forget()
            return await self._register()
        if response.status == 304:
            return device
        record = response.json()
        etag = response.headers.get("etag")
        if etag is not None and etag == device.etag and isinstance(record, dict):
            features = {**(record.get("features") or {})}
            features["developer"] = (device.record.get("features") or {}).get("developer", [])
            record = {**record, "features": features}
        refreshed = _read(record, etag)
        refreshed.fresh = device.fresh
        await self._keep(refreshed)
        return refreshed

    async def unregister(self) -> None:
        """Delete the registration, at the cloud and here."""
        async with self._turn:
            device = self.current
            if device is None:
                return
            try:
                await self._services.send("DELETE", device.url)
            except NotFoundError:
                pass
            finally:
                await self._forget()

    async def _forget(self) -> None:
        self.current = None
        if self._ttl is None:
            await self._storage.delete(NAMESPACE, self._key)

    async def caught_up(self) -> None:
        """Note that what was missed before this registration is listed: now the cloud keeps the unacknowledged."""
        device = self.current
        if device is not None and device.fresh:
            device.fresh = False
            await self._keep(device)

    async def _post(self) -> Response:
        url = await self._services.url_of("wdm")
        return await self._services.send(
            "POST", f"{url}/devices", params={"includeUpstreamServices": "all"}, json=self._body()
        )

    async def _make_room(self) -> None:
        """Delete the oldest third of the SDK's own devices, so that one more is allowed."""
        url = await self._services.url_of("wdm")
        listed = (await self._services.send("GET", f"{url}/devices")).json()
        devices = listed.get("devices") if isinstance(listed, dict) else None
        own = [
            device
            for device in devices or ()
            if isinstance(device, dict) and device.get("deviceType") == DEVICE_TYPE and device.get("name") == self._name
        ]
        own.sort(key=lambda device: str(device.get("modificationTime", "")))
        if len(own) <= _KEEP_AT_LEAST:
            return
        for device in own[: math.ceil(len(own) / 3)]:
            try:
                await self._services.send("DELETE", str(device.get("url")))
            except ApiError as error:
                _logger.debug("an old device could not be deleted: %s", error.status)

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": self._name,
            "deviceName": self._name,
            "deviceType": DEVICE_TYPE,
            "model": "webex-python-sdk",
            "localizedModel": "webex-python-sdk",
            "systemName": "WEBEX_PYTHON_SDK",
            "systemVersion": "1.0.0",
        }
        if self._ttl is not None:
            body["ttl"] = self._ttl
        return body

    @staticmethod
    def _stored(device: Device) -> dict[str, Any]:
        return with_format({"record": device.record, "etag": device.etag, "fresh": device.fresh})

    async def _keep(self, device: Device) -> None:
        self.current = device
        if self._ttl is None:
            try:
                await self._storage.put(NAMESPACE, self._key, self._stored(device), durable=False)
            except WebexError:
                _logger.warning("the device could not be stored; the next start registers another one", exc_info=True)


def _read(record: Any, etag: str | None) -> Device:
    if not isinstance(record, dict):
        raise DecodeError("The answer to a device registration is no JSON object.")
    url, socket_url, user_id = (record.get(name) for name in ("url", "webSocketUrl", "userId"))
    if not isinstance(url, str) or not isinstance(socket_url, str) or not isinstance(user_id, str):
        raise DecodeError("The answer to a device registration lacks url, webSocketUrl or userId.")
    if not is_uuid(user_id):
        raise DecodeError("The userId of a device registration is no UUID.", path="userId")
    # Long lists that are never read would cost memory for each of thousands of users.
    slim = {name: value for name, value in record.items() if name not in ("services", "serviceHostMap")}
    return Device(url, socket_url, user_id.lower(), str(record.get("orgId") or ""), etag, slim)


def read_features(features: Any, group: str) -> dict[str, Any]:
    """Return feature toggles by key; numbers and booleans are read out of their text."""
    entries = features.get(group) if isinstance(features, Mapping) else None
    found: dict[str, Any] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("key"), str):
            found[entry["key"]] = _feature(entry.get("val"))
    return found


def _feature(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def check_socket_host(url: str, config: Config, hosts: HostPolicy) -> None:
    """Raise `RealtimeError` for a socket URL that may not receive a token: it is no service of the catalog."""
    parts = split_url(url)
    host = None if parts is None else parts.hostname
    beside_emulator = config.emulator_url is not None and (is_loopback_host(host) or host in config.emulator_hosts)
    if not url.startswith(("wss:", "ws:")) or not (beside_emulator or hosts.may_receive_token(f"http{url[2:]}")):
        raise RealtimeError(
            f"The registration names a socket at {host!r}, which may not receive a token: "
            "it is no service of the catalog. allowed_domains is the setting, if it should be."
        )
