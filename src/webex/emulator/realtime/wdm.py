"""Device registration (WDM): what a client needs before it may open a Mercury socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.emulator.clock import iso
from webex.emulator.hosts import host_name
from webex.emulator.realtime.features import etag_of, features_of
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Device
    from webex.emulator.wire import Call

_TOLD: Final = (
    "name",
    "deviceName",
    "deviceType",
    "model",
    "localizedModel",
    "systemName",
    "systemVersion",
    "capabilities",
    "isVdi",
    "regionCode",
    "countryCode",
)

# What an organization without special settings gives (mercury §2.1; a registration retyped by Cisco).
_HABITS: Final[dict[str, Any]] = {
    "deviceSettings": {},
    "deviceSettingsString": "{}",
    "showSupportText": False,
    "reportingSiteUrl": "",
    "reportingSiteDesc": "",
    "isDeviceManaged": False,
    "trainSiteNames": [],
    "clientSecurityPolicy": "",
    "intranetInactivityCheckUrl": "",
    "blockExternalCommunications": False,
    "clientMessagingGiphy": "ALLOW",
    "clientMessagingLinkPreview": "ALLOW",
    "ecmEnabledForAllUsers": False,
    "ecmSupportedStorageProviders": [],
    "defaultEcmMicrosoftCloud": "",
    "ecmMicrosoftTenant": "",
    "ecmScreenCaptureFeatureAllowed": False,
    "ecmWhiteboardFileDataAllowed": False,
    "callingBehavior": "USE_ORG_SETTINGS",
    "onPremisePairingEnabled": False,
    "peopleInsightsEnabled": False,
    "allowSelfSignedCertificate": False,
    "webexCrossLaunch": False,
    "settings": {},
}


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("POST", "/wdm/api/v1/devices", register)
    table.add("GET", "/wdm/api/v1/devices", devices)
    table.add("GET", "/wdm/api/v1/devices/{deviceId}", get_device)
    table.add("PUT", "/wdm/api/v1/devices/{deviceId}", renew)
    table.add("DELETE", "/wdm/api/v1/devices/{deviceId}", delete)


def register(call: Call) -> Reply:
    """Register a device; 403 when the person has too many."""
    person = call.person()
    body = _body(call)
    device = call.cloud.devices.register(person.id, _told(body), _ttl(body))
    device.base = call.base
    # A device of another region authorizes its socket and talks to the key service, but no activities come.
    device.elsewhere = host_name(call.headers.get("host", "")) in call.cloud.settings.other_region_hosts
    return _answer(call, device)


def devices(call: Call) -> Reply:
    """One's own devices."""
    person = call.person()
    return Reply(200, {"devices": [_record(call, device) for device in call.cloud.devices.of(person.id)]})


def get_device(call: Call) -> Reply:
    """One of one's own devices."""
    return _answer(call, _mine(call))


def renew(call: Call) -> Reply:
    """Refresh a device: it lives anew. With its etag in `If-None-Match` the developers' features are left out."""
    device = _mine(call)
    body = _body(call)
    call.cloud.devices.renew(device, _told(body), _ttl(body))
    device.base = call.base
    return _answer(call, device)


def delete(call: Call) -> Reply:
    """Forget a device."""
    call.cloud.devices.remove(_mine(call))
    return Reply(204)


def _mine(call: Call) -> Device:
    device = call.cloud.devices.find(call.path["deviceId"], call.person().id)
    if device is None:
        raise Problem(404, "There is no such device; it may have expired.")
    return device


def _body(call: Call) -> dict[str, Any]:
    return call.json() if call.body else {}


def _told(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in _TOLD if body.get(name) is not None}


def _ttl(body: dict[str, Any]) -> float | None:
    ttl = body.get("ttl")
    if ttl is None:
        return None
    if not isinstance(ttl, int | float) or isinstance(ttl, bool) or not 0 < ttl <= 365 * 86400:
        raise Problem(400, "ttl is a number of seconds above 0.")
    return float(ttl)


def _answer(call: Call, device: Device) -> Reply:
    etag = etag_of(call.cloud, device.person_id)
    known = call.headers.get("if-none-match", "").strip().removeprefix("W/").strip('"')
    if known == etag and call.method == "PUT" and call.cloud.settings.device_not_modified:
        return Reply(304, headers={"etag": f'"{etag}"'})
    record = _record(call, device)
    if known == etag and "features" in record:
        record["features"]["developer"] = []
    return Reply(200, record, {"etag": f'"{etag}"'})


def _record(call: Call, device: Device) -> dict[str, Any]:
    base, cloud = call.base, call.cloud
    parts = urlsplit(base)
    upstream = set((call.arg("includeUpstreamServices") or "all").split(","))
    everything = "all" in upstream
    links = cloud.catalog.hostmap(base)
    record: dict[str, Any] = {
        **{name: value for name, value in device.fields.items() if name != "deviceName"},
        "url": f"{base}/wdm/api/v1/devices/{device.id}",
        "userId": device.person_id,
        "orgId": cloud.state.people[device.person_id].org_id,
        "creationTime": iso(device.created),
        "modificationTime": iso(device.modified),
        **_HABITS,
    }
    record.setdefault("capabilities", {})
    if device.ttl is not None:
        record["ttl"] = int(device.ttl)
    if everything or "websocket" in upstream:
        scheme = "wss" if parts.scheme == "https" else "ws"
        record["webSocketUrl"] = (
            f"{scheme}://{parts.netloc}/mercury/v1/apps/wx2/registrations/{device.registration_id}/messages"
        )
    if everything or "features" in upstream:
        record["features"] = features_of(cloud, device.person_id)
    if everything:
        record["services"] = {f"{name}ServiceUrl": url for name, url in links["serviceLinks"].items()}
        record["serviceHostMap"] = {name: links[name] for name in ("serviceLinks", "hostCatalog")}
    return record
