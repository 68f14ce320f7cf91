"""Device registration: what a client needs before it opens a socket."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import register
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_TOKEN, ORG_ID


def put(device: dict[str, Any], token: str = ALICE_TOKEN, etag: str | None = None, **body: Any) -> Any:
    headers = {"if-none-match": etag} if etag is not None else {}
    return fetch(device["url"], "PUT", json_body=body, token=token, headers=headers)


def listed(cloud: Cloud, token: str = ALICE_TOKEN) -> list[str]:
    answer = fetch(cloud.url + "/wdm/api/v1/devices", token=token)
    return [device["url"] for device in answer.json()["devices"]]


def test_a_device_has_the_fields_a_client_needs(webex_cloud: Cloud) -> None:
    device = register(webex_cloud, model="web-js-sdk", systemName="WEBEX_JS_SDK", invented="left out")
    assert device["userId"] == ALICE_ID
    assert device["orgId"] == ORG_ID
    assert device["url"].startswith(webex_cloud.url + "/wdm/api/v1/devices/")
    assert device["webSocketUrl"].startswith(
        webex_cloud.url.replace("http", "ws", 1) + "/mercury/v1/apps/wx2/registrations/"
    )
    assert device["services"]["encryptionServiceUrl"] == webex_cloud.url + "/encryption/api/v1"
    assert device["services"]["wdmServiceUrl"] == webex_cloud.url + "/wdm/api/v1"
    assert device["serviceHostMap"]["serviceLinks"]["conversation"] == webex_cloud.url + "/conversation/api/v1"
    assert (device["name"], device["model"]) == ("test", "web-js-sdk")
    assert "invented" not in device
    assert set(device["features"]) == {"developer", "entitlement", "user"}


def test_urls_are_those_of_the_host_that_was_called(webex_cloud: Cloud) -> None:
    answer = fetch(
        webex_cloud.url + "/wdm/api/v1/devices", json_body={}, token=ALICE_TOKEN, headers={"host": "wdm-a.wbx2.com"}
    )
    assert answer.json()["webSocketUrl"].startswith("ws://wdm-a.wbx2.com/mercury/v1/apps/")


@pytest.mark.parametrize(
    ("upstream", "present", "absent"),
    [
        ("all", {"webSocketUrl", "features", "services"}, set()),
        ("websocket", {"webSocketUrl"}, {"features", "services"}),
        ("features", {"features"}, {"webSocketUrl", "services"}),
        ("none", set(), {"webSocketUrl", "features", "services"}),
        ("all,energyforecast", {"webSocketUrl", "features", "services"}, set()),
    ],
)
def test_the_client_chooses_the_included_services(
    webex_cloud: Cloud, upstream: str, present: set[str], absent: set[str]
) -> None:
    url = f"{webex_cloud.url}/wdm/api/v1/devices?includeUpstreamServices={upstream}"
    device = fetch(url, json_body={}, token=ALICE_TOKEN).json()
    assert present <= device.keys()
    assert not absent & device.keys()


def test_a_refresh_updates_the_fields_and_keeps_the_url(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    answer = put(device, name="renamed", url="https://elsewhere.example")
    assert answer.status == 200
    assert answer.json()["name"] == "renamed"
    assert answer.json()["deviceType"] == "WEB"
    assert answer.json()["url"] == device["url"]
    assert answer.json()["webSocketUrl"] == device["webSocketUrl"]


def test_an_equal_etag_leaves_the_developers_features_out(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    toggles = f"{webex_cloud.url}/feature/api/v1/features/users/{ALICE_ID}/developer"
    first = put(device).headers["etag"]
    assert fetch(toggles, json_body={"key": "a", "val": "true"}, token=ALICE_TOKEN).status == 200
    changed = put(device, etag=first)
    assert [toggle["key"] for toggle in changed.json()["features"]["developer"]] == ["a"]
    assert changed.headers["etag"] != first
    same = put(device, etag=changed.headers["etag"])
    assert same.status == 200
    assert same.headers["etag"] == changed.headers["etag"]
    assert same.json()["features"]["developer"] == []


def test_another_user_can_neither_see_nor_change_a_device(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    assert listed(webex_cloud, BOB_TOKEN) == []
    assert put(device, BOB_TOKEN).status == 404
    assert fetch(device["url"], token=BOB_TOKEN).status == 404
    assert fetch(device["url"], "DELETE", token=BOB_TOKEN).status == 404
    assert listed(webex_cloud) == [device["url"]]


def test_without_a_token_nothing_is_registered(webex_cloud: Cloud) -> None:
    assert fetch(webex_cloud.url + "/wdm/api/v1/devices", json_body={}).status == 401
    assert fetch(webex_cloud.url + "/wdm/api/v1/devices", json_body={}, token="wrong").status == 401


def test_a_deleted_device_is_gone(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    assert fetch(device["url"], "DELETE", token=ALICE_TOKEN).status == 204
    assert fetch(device["url"], "DELETE", token=ALICE_TOKEN).status == 404
    assert put(device).status == 404
    assert listed(webex_cloud) == []


@pytest.mark.parametrize(("body", "life"), [({}, 7 * 86400), ({"ttl": 1800}, 1800)])
def test_a_device_expires_unless_refreshed(webex_cloud: Cloud, body: dict[str, Any], life: float) -> None:
    webex_cloud.clock.freeze()
    device = register(webex_cloud, **body)
    webex_cloud.clock.advance(life - 1)
    assert put(device).status == 200
    webex_cloud.clock.advance(life - 1)
    assert listed(webex_cloud) == [device["url"]]
    webex_cloud.clock.advance(1)
    assert listed(webex_cloud) == []
    assert put(device).status == 404


@pytest.mark.parametrize("ttl", ["soon", 0, -1, True])
def test_a_ttl_is_a_number_of_seconds(webex_cloud: Cloud, ttl: Any) -> None:
    answer = fetch(webex_cloud.url + "/wdm/api/v1/devices", json_body={"ttl": ttl}, token=ALICE_TOKEN)
    assert answer.status == 400


@pytest.mark.webex_cloud(max_devices=2)
def test_too_many_devices_are_refused_with_the_known_message(webex_cloud: Cloud) -> None:
    first = register(webex_cloud, ttl=60)
    register(webex_cloud)
    answer = fetch(webex_cloud.url + "/wdm/api/v1/devices", json_body={}, token=ALICE_TOKEN)
    assert answer.status == 403
    assert answer.json()["message"] == "User has excessive device registrations"
    register(webex_cloud, BOB_TOKEN)
    webex_cloud.clock.advance(61)
    register(webex_cloud)
    assert first["url"] not in listed(webex_cloud)


def test_devices_are_part_of_a_snapshot(webex_cloud: Cloud) -> None:
    before = webex_cloud.snapshot()
    device = register(webex_cloud)
    with_device = webex_cloud.snapshot()
    webex_cloud.restore(before)
    assert put(device).status == 404
    webex_cloud.restore(with_device)
    assert put(device).status == 200


def test_the_catalog_names_the_services_of_real_time(webex_cloud: Cloud) -> None:
    answer = fetch(webex_cloud.url + "/u2c/api/v1/catalog?format=hostmap", token=ALICE_TOKEN).json()
    links = answer["serviceLinks"]
    assert {"wdm", "conversation", "encryption", "mercuryConnection", "feature", "u2c", "license", "atlas"} <= set(
        links
    )
    assert next(iter(links)) == "identityLookup"
    assert {entry["id"] for entries in answer["hostCatalog"].values() for entry in entries} == {
        "urn:TEAM:us-east-2_a:identityLookup"
    }
