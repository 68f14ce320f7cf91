"""The device registration of a client: made once, kept alive, made anew when the cloud forgot it, and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import register
from tests.realtime.helpers import QUICK, client_of, run, shared_room, take, until
from webex import AsyncWebex
from webex.emulator import u2c
from webex.emulator.accounts import BOB_ID
from webex.emulator.cloud import Cloud
from webex.emulator.realtime import wdm
from webex.emulator.request_log import LoggedRequest
from webex.errors import ApiError, DecodeError, PermissionDeniedError
from webex.realtime.mercury.device import DEFAULT_NAME, DEVICE_TYPE, Device, Devices
from webex.realtime.mercury.timers import Timer, TimerWheel
from webex.storage import SQLiteStorage

WDM = "/wdm/api/v1/devices"


def asked(cloud: Cloud, method: str, path: str = f"{WDM}/*") -> list[LoggedRequest]:
    return cloud.requests.find(method=method, path=path)


def registrations(cloud: Cloud) -> int:
    return cloud.requests.count(method="POST", path=WDM, status=200)


def devices_of(client: AsyncWebex, **options: Any) -> Devices:
    """The registration that a client's listeners share."""
    return client.messages.listen(**options)._connection.devices


async def registered(client: AsyncWebex, **options: Any) -> tuple[Devices, Device]:
    devices = devices_of(client, **options)
    return devices, await devices.ensure()


# Registering


def test_a_device_is_registered_with_the_required_fields(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(device_name="my bot"):
            (made,) = asked(webex_cloud, "POST", WDM)
        assert made.query == {"includeUpstreamServices": "all"}
        names = {"name", "deviceType", "model", "localizedModel", "systemName", "systemVersion"}
        assert names <= made.body.keys()
        assert all(made.body[name] for name in names)
        assert (made.body["name"], made.body["deviceType"]) == ("my bot", DEVICE_TYPE)

    run(main())


def test_concurrent_listens_register_and_connect_once(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            webex_cloud.faults.add(WDM, method="POST", latency=0.1)
            listening = [bob.messages.listen(), bob.rooms.listen(), bob.memberships.listen(), bob.listen()]
            await asyncio.gather(*(each.start() for each in listening))
            assert registrations(webex_cloud) == 1
            assert webex_cloud.mercury.opened_count == 1

    run(main())


def test_unknown_fields_in_the_registration_are_ignored(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    own = wdm._record
    odd = {"services": [{"name": "wdm"}], "serviceHostMap": None, "capabilities": {"a": [1, None]}, "brandNew": 1.5}
    monkeypatch.setattr(wdm, "_record", lambda *args: {**own(*args), **odd})

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.messages.create(room_id=room, text="heard")
                (event,) = await take(events)
        assert event.data.text == "heard"

    run(main())


def test_the_user_of_a_device_is_a_plain_uuid(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            _, device = await registered(bob)
            assert device.user_id == BOB_ID

    run(main())


def test_feature_values_are_parsed_from_text(webex_cloud: Cloud) -> None:
    given = {"yes": "true", "no": "FALSE", "whole": "5", "part": "0.5", "word": "abc", "odd": "nan", "empty": ""}
    token = webex_cloud.token_for("bob")
    for key, value in given.items():
        url = f"{webex_cloud.url}/feature/api/v1/features/users/{BOB_ID}/developer"
        assert fetch(url, json_body={"key": key, "val": value, "mutable": True}, token=token).status == 200

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            _, device = await registered(bob)
            wanted = {"yes": True, "no": False, "whole": 5, "part": 0.5, "word": "abc", "odd": "nan", "empty": ""}
            assert device.developer_features == wanted
            assert [type(value) for value in device.developer_features.values()] == [*map(type, wanted.values())]

    run(main())


# Where it is, and who asks


def test_devices_are_registered_at_the_host_of_the_catalog(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(u2c._LINKS, "wdm", "/elsewhere/api/v1")

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(ApiError):
                await registered(bob)
        (catalog,) = asked(webex_cloud, "GET", "/u2c/api/v1/catalog")
        assert (catalog.query, catalog.status) == ({"format": "hostmap"}, 200)
        assert catalog.person_id == BOB_ID
        assert [request.path for request in webex_cloud.requests.find(method="POST")] == ["/elsewhere/api/v1/devices"]

    assert fetch(f"{webex_cloud.url}/u2c/api/v1/catalog?format=hostmap").status == 401
    webex_cloud.requests.clear()
    run(main())


def test_requests_carry_the_device_url_after_registration(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen() as events:
            room = await shared_room(bob, "alice@example.com")
            await bob.conversations.post(room, "text")
            device = events._connection.devices.current
        assert device is not None
        told = [
            request.headers.get("cisco-device-url")
            for path in ("/encryption/*", "/conversation/*", f"{WDM}/*")
            for request in webex_cloud.requests.find(path=path)
        ]
        assert len(told) >= 5
        assert set(told) == {device.url}
        assert "cisco-device-url" not in asked(webex_cloud, "POST", WDM)[0].headers

    run(main())


# Staying


def test_a_short_lived_device_is_refreshed_in_time(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    due: list[Callable[[], None]] = []
    after = TimerWheel.after

    def noted(wheel: TimerWheel, seconds: float, call: Callable[[], None]) -> Timer:
        if seconds == 960:
            due.append(call)
        return after(wheel, seconds, call)

    monkeypatch.setattr(TimerWheel, "after", noted)

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(ephemeral=True):
            assert asked(webex_cloud, "POST", WDM)[0].body["ttl"] == 1800
            for count in (1, 2):
                assert len(due) == count
                due[-1]()  # as if 960 seconds had passed
                await until(lambda count=count: len(due) == count + 1)
                assert len(asked(webex_cloud, "PUT")) == count
            assert registrations(webex_cloud) == 1

    run(main())


def test_a_refresh_sends_the_record_without_server_fields(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        storage = SQLiteStorage(tmp_path / "s.db")
        async with client_of(webex_cloud, "bob", storage=storage) as bob:
            devices, device = await registered(bob)
            device.record["mediaCluster"] = device.record["etag"] = "x"
            assert device.record["features"]
            await devices.refresh()
        (refresh,) = asked(webex_cloud, "PUT")
        assert device.url.endswith(refresh.path)
        assert refresh.query == {"includeUpstreamServices": "all"}
        assert not refresh.body.keys() & {"features", "mediaCluster", "etag"}
        assert (refresh.body["url"], refresh.body["userId"]) == (device.url, BOB_ID)

    run(main())


def test_a_refresh_sends_its_etag_and_keeps_developer_features(webex_cloud: Cloud) -> None:
    token = webex_cloud.token_for("bob")

    def toggle(kind: str, value: str) -> None:
        url = f"{webex_cloud.url}/feature/api/v1/features/users/{BOB_ID}/{kind}"
        assert fetch(url, json_body={"key": "a", "val": value, "mutable": True}, token=token).status == 200

    def of_user(device: Device) -> list[str]:
        return [toggle["val"] for toggle in device.record["features"]["user"]]

    async def main() -> None:
        webex_cloud.faults.add(WDM, method="POST", headers={"etag": ""}, after_processing=True)
        async with client_of(webex_cloud, "bob") as bob:
            devices, _ = await registered(bob)
            toggle("developer", "1")
            first = await devices.refresh()
            assert first.developer_features == {"a": 1}
            toggle("user", "new")
            second = await devices.refresh()
            assert second.etag == first.etag
            assert second.developer_features == {"a": 1}
            assert of_user(second) == ["new"]
            toggle("developer", "2")
            third = await devices.refresh()
            assert third.etag != first.etag
            assert third.developer_features == {"a": 2}
        told = [request.headers.get("if-none-match") for request in asked(webex_cloud, "PUT")]
        assert told == [None, first.etag, first.etag]

    run(main())


def test_a_device_deleted_by_the_cloud_is_registered_again_once(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                webex_cloud.mercury.expire_devices("bob")
                await alice.messages.create(room_id=room, text="after it")
                (event,) = await take(events)
                assert event.data.text == "after it"
            assert [request.status for request in asked(webex_cloud, "PUT")] == [404]
            assert registrations(webex_cloud) == 2

    run(main())


def test_a_failed_refresh_is_an_error_and_registers_nothing(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob", max_retries=0) as bob:
            devices, device = await registered(bob)
            webex_cloud.faults.add(f"{WDM}/*", method="PUT", status=500)
            with pytest.raises(ApiError) as told:
                await devices.refresh()
            assert told.value.status == 500
            assert devices.current is device
            assert registrations(webex_cloud) == 1

    run(main())


# Too many


def owned(cloud: Cloud, count: int, **body: Any) -> list[str]:
    """Devices of Bob's, the oldest first; gives their paths."""
    paths = []
    for _ in range(count):
        cloud.clock.advance(1)
        device = register(cloud, cloud.token_for("bob"), **body)
        paths.append(device["url"].removeprefix(cloud.url))
    return paths


@pytest.mark.webex_cloud(max_devices=9)
@pytest.mark.parametrize(("count", "gone"), [(7, 3), (6, 2), (3, 1)])
def test_excess_devices_remove_the_oldest_third_of_our_own(webex_cloud: Cloud, count: int, gone: int) -> None:
    webex_cloud.clock.freeze()
    owned(webex_cloud, 1, deviceType="WEB", name=DEFAULT_NAME)
    ours = owned(webex_cloud, count, deviceType=DEVICE_TYPE, name=DEFAULT_NAME)
    owned(webex_cloud, 8 - count, deviceType="WEB", name=DEFAULT_NAME)
    fetch(webex_cloud.url + ours[0], "PUT", json_body={}, token=webex_cloud.token_for("bob"))
    webex_cloud.clock.advance(1)
    by_age = [*ours[1:], ours[0]]  # the first one was used just now
    webex_cloud.requests.clear()

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen():
            assert [request.status for request in asked(webex_cloud, "POST", WDM)] == [403, 200]
            assert len(asked(webex_cloud, "GET", WDM)) == 1
            assert [request.path for request in asked(webex_cloud, "DELETE")] == by_age[:gone]

    run(main())


@pytest.mark.webex_cloud(max_devices=3)
def test_few_own_devices_are_kept_and_the_refusal_is_raised(webex_cloud: Cloud) -> None:
    owned(webex_cloud, 2, deviceType=DEVICE_TYPE, name=DEFAULT_NAME)
    owned(webex_cloud, 1, deviceType="WEB", name=DEFAULT_NAME)
    webex_cloud.requests.clear()

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(PermissionDeniedError, match="excessive"):
                await bob.messages.listen()
        assert asked(webex_cloud, "DELETE") == []
        assert len(asked(webex_cloud, "POST", WDM)) == 2

    run(main())


# Going


@pytest.mark.parametrize("expired", [False, True])
def test_an_unregistered_device_is_removed_from_the_storage(webex_cloud: Cloud, tmp_path: Path, expired: bool) -> None:
    async def main() -> None:
        storage = SQLiteStorage(tmp_path / "s.db")
        async with client_of(webex_cloud, "bob", storage=storage) as bob:
            devices, device = await registered(bob)
            if expired:
                webex_cloud.mercury.expire_devices("bob")
            await devices.unregister()
            assert devices.current is None
        (gone,) = asked(webex_cloud, "DELETE")
        assert device.url.endswith(gone.path)
        assert gone.status == (404 if expired else 204)
        async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
            _, other = await registered(bob)
        assert other.url != device.url
        assert asked(webex_cloud, "PUT") == []

    run(main())


def test_stopping_removes_an_ephemeral_device(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen():
                assert webex_cloud.devices.all(BOB_ID)
            assert not webex_cloud.devices.all(BOB_ID)

    run(main())


def test_refreshes_at_the_same_time_register_once(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            devices, _ = await registered(bob)
            webex_cloud.mercury.expire_devices("bob")
            first, second = await asyncio.gather(devices.refresh(), devices.refresh())
            assert first.url == second.url
            assert registrations(webex_cloud) == 2

    run(main())


def test_an_unreadable_registration_is_an_error_and_not_retried(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = wdm._record

    def without_user(*given: Any) -> Any:
        return {name: value for name, value in record(*given).items() if name != "userId"}

    monkeypatch.setattr(wdm, "_record", without_user)

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(DecodeError, match="userId"):
                await bob.messages.listen(**QUICK)
            assert registrations(webex_cloud) == 1

    run(main())


def test_an_unreachable_host_fails_over_to_the_next(webex_cloud: Cloud) -> None:
    here = urlsplit(webex_cloud.url).hostname
    webex_cloud.catalog.set_faults(hosts=[{"host": "127.0.0.9", "priority": 1}, {"host": here, "priority": 2}])

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", max_retries=0) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="heard")
                (event,) = await take(events)
                assert (event.data.text, event.decryption_error) == ("heard", None)

    run(main())
