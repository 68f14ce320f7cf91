"""The service catalog: who may ask, what it can be made to say, and another region's devices."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.emulator.helpers import Answer, fetch
from tests.emulator.realtime.helpers import connected, key_client, number_of, push, register
from webex.emulator import Cloud, EmulatorClient
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, ORG_ID


def catalog(cloud: Cloud) -> dict[str, Any]:
    answer: dict[str, Any] = fetch(cloud.url + "/u2c/api/v1/catalog?format=hostmap", token=ALICE_TOKEN).json()
    return answer


def limited(cloud: Cloud, query: str) -> Answer:
    return fetch(f"{cloud.url}/u2c/api/v1/limited/catalog?format=hostmap{query}")


@pytest.mark.parametrize(
    "selector", ["emailhash=" + "0" * 64, f"userId={ALICE_ID}", f"orgId={ORG_ID}", "mode=DEFAULT_BY_PROXIMITY"]
)
def test_the_limited_catalog_needs_no_token_and_one_selector(webex_cloud: Cloud, selector: str) -> None:
    answer = limited(webex_cloud, f"&{selector}")
    assert answer.status == 200
    assert answer.json()["format"] == "hostmap"
    assert limited(webex_cloud, "").status == 400
    assert limited(webex_cloud, f"&{selector}&orgId=a&mode=b").status == 400


def test_the_catalog_of_a_person_needs_their_token(webex_cloud: Cloud) -> None:
    assert fetch(webex_cloud.url + "/u2c/api/v1/catalog?format=hostmap").status == 401


def test_a_service_can_be_missing(webex_cloud: Cloud) -> None:
    webex_cloud.catalog.set_faults(missing=["wdm"])
    links = catalog(webex_cloud)["serviceLinks"]
    assert "wdm" not in links
    assert "conversation" in links


def test_hosts_can_have_priorities_and_a_region(webex_cloud: Cloud) -> None:
    hosts = [{"host": "127.0.0.9", "priority": 1}, {"host": "127.0.0.1", "priority": 2}]
    remote = EmulatorClient(webex_cloud.url)
    assert remote.catalog.set_faults(hosts=hosts, cluster="urn:TEAM:eu-central-1_k")["hosts"] == hosts
    listed = catalog(webex_cloud)["hostCatalog"]
    expected = [{**host, "ttl": -1, "id": "urn:TEAM:eu-central-1_k:identityLookup"} for host in hosts]
    assert list(listed.values()) == [expected, expected]
    # A device is told the same.
    assert register(webex_cloud)["serviceHostMap"]["hostCatalog"] == listed
    webex_cloud.reset()
    assert [entry.get("priority") for entries in catalog(webex_cloud)["hostCatalog"].values() for entry in entries] == [
        None,
        None,
    ]


def test_the_region_needs_no_token(webex_cloud: Cloud) -> None:
    assert fetch(webex_cloud.url + "/v1/region").json()["countryCode"] == "US"


@pytest.mark.webex_cloud(other_region_hosts=["localhost"])
def test_a_device_of_another_region_gets_no_conversation_events(webex_cloud: Cloud) -> None:
    port = webex_cloud.url.rpartition(":")[2]
    here = register(webex_cloud)
    answer = fetch(
        f"{webex_cloud.url}/wdm/api/v1/devices",
        json_body={"name": "there"},
        token=ALICE_TOKEN,
        headers={"host": f"localhost:{port}"},
    )
    there = {**answer.json(), "webSocketUrl": answer.json()["webSocketUrl"].replace("localhost", "127.0.0.1")}

    async def main() -> None:
        async with connected(here) as near, connected(there) as far, key_client(webex_cloud) as alice:
            assert (await near.receive())["data"]["eventType"] == "encryption.kms_message"
            push(webex_cloud, 1)
            assert number_of(await near.receive()) == 1
            with webex_cloud.lock:
                webex_cloud.mercury.push([ALICE_ID], {"eventType": "status.start_typing"})
            # The answer of the key service, typing, but no activity.
            kinds = [(await far.receive())["data"]["eventType"] for _ in range(2)]
            assert kinds == ["encryption.kms_message", "status.start_typing"]
            assert number_of(await alice.client.receive()) == 1

    asyncio.run(main())


@pytest.mark.webex_cloud(device_not_modified=True)
def test_a_refresh_can_be_answered_with_an_empty_304(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    etag = fetch(device["url"], "PUT", json_body={}, token=ALICE_TOKEN).headers["etag"]
    answer = fetch(device["url"], "PUT", json_body={}, token=ALICE_TOKEN, headers={"if-none-match": etag})
    assert (answer.status, answer.body) == (304, b"")
    assert fetch(device["url"], "PUT", json_body={}, token=ALICE_TOKEN).status == 200
