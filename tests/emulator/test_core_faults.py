"""Misbehaviour on demand, over a real socket."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

import pytest

from tests.emulator.helpers import Answer, fetch, is_live, refresh, signed_in
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN
from webex.emulator.faults import Fault
from webex.emulator.wire import Call, Reply

EXPIRY = "/v1/authorizations/tokenExpiry"


def ask(cloud: Cloud) -> Answer:
    return fetch(cloud.url + EXPIRY, token=ALICE_TOKEN)


def test_a_status_fault_applies_count_times(webex_cloud: Cloud) -> None:
    fault = webex_cloud.faults.add("/v1/auth*", status=503, count=2, skip=1)
    assert [ask(webex_cloud).status for _ in range(5)] == [200, 503, 503, 200, 200]
    assert fault.hits == 2
    assert webex_cloud.requests.count(fault="503") == 2


def test_a_fault_applies_only_to_matching_requests(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add("/v1/rooms", status=500)
    webex_cloud.faults.add(EXPIRY, method="POST", status=500)
    webex_cloud.faults.add("*", grant_type="refresh_token", status=500, count=1)
    assert ask(webex_cloud).status == 200
    tokens = signed_in(webex_cloud)
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 500
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 200


def test_a_fault_rate_is_repeatable_with_a_seed(webex_cloud: Cloud) -> None:
    def run(seed: int) -> list[int]:
        webex_cloud.faults.clear()
        webex_cloud.faults.add(rate=0.5, seed=seed, status=500)
        return [ask(webex_cloud).status for _ in range(20)]

    assert run(1) == run(1) != run(2)
    assert {200, 500} == set(run(1))


@pytest.mark.parametrize("value", ["2", "rand(30),add(30)", "Fri, 31 Dec 1999 23:59:59 GMT", ""])
def test_a_rate_limit_sends_any_retry_after(webex_cloud: Cloud, value: str) -> None:
    webex_cloud.faults.add(status=429, retry_after=value, count=1)
    answer = ask(webex_cloud)
    assert (answer.status, answer.headers["retry-after"]) == (429, value)
    assert answer.json()["trackingId"] == answer.headers["trackingid"]


@pytest.mark.parametrize(("value", "text"), [(1_209_600, "1209600"), (3.0, "3"), (0.25, "0.25")], ids=str)
def test_retry_after_seconds_are_written_without_exponent(webex_cloud: Cloud, value: float, text: str) -> None:
    webex_cloud.faults.add(status=429, retry_after=value, count=1)
    assert ask(webex_cloud).headers["retry-after"] == text


def test_a_dropped_connection_gets_no_response(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add(drop=True, count=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(webex_cloud)
    assert webex_cloud.requests.count(status=0) == 1
    assert ask(webex_cloud).status == 200


def test_a_drop_after_processing_has_its_effect(webex_cloud: Cloud) -> None:
    webex_cloud.set(rotation="strict")
    tokens = signed_in(webex_cloud)
    webex_cloud.faults.add("*/access_token", drop=True, after_processing=True, count=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        refresh(webex_cloud, tokens["refresh_token"])
    assert refresh(webex_cloud, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert not is_live(webex_cloud, tokens["access_token"])


def test_a_status_after_processing_has_its_effect(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    webex_cloud.faults.add("*/revoke", status=502, after_processing=True)
    client = webex_cloud.state.integrations[webex_cloud.env["WEBEX_CLIENT_ID"]]
    assert client.client_secret is not None
    answer = fetch(
        webex_cloud.url + "/v1/revoke",
        form={"token": tokens["access_token"]},
        basic=(client.client_id, client.client_secret),
    )
    assert answer.status == 502
    assert not is_live(webex_cloud, tokens["access_token"])


def test_latency_waits_in_real_time(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add(latency=0.2, count=1)
    start = time.monotonic()
    assert ask(webex_cloud).status == 200
    assert time.monotonic() - start >= 0.2


def test_a_truncated_body_ends_before_its_content_length(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add(truncate=True, count=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(webex_cloud)
    assert caught.value.expected


def test_a_dripping_body_is_sent_byte_by_byte(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add(drip=0.01, count=1)
    connection = http.client.HTTPConnection(urlsplit(webex_cloud.url).netloc, timeout=10)
    start = time.monotonic()
    connection.request("GET", EXPIRY, headers={"authorization": f"Bearer {ALICE_TOKEN}"})
    body = connection.getresponse().read()
    connection.close()
    assert body.startswith(b'{"exp"')
    assert time.monotonic() - start >= 0.01 * (len(body) - 5)


def test_a_non_json_body_keeps_the_json_content_type(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add(not_json=True, count=1)
    answer = ask(webex_cloud)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.text.startswith("<html>")
    webex_cloud.faults.add(body="plain", content_type="text/plain", headers={"X-Odd": "1"}, count=1)
    answer = ask(webex_cloud)
    assert (answer.text, answer.headers["content-type"], answer.headers["x-odd"]) == ("plain", "text/plain", "1")


@pytest.mark.parametrize(
    ("how", "link"),
    [
        ("filters", '<http://x/v1/rooms?max=2&cursor=c>; rel="next"'),
        ("null", '<http://x/v1/rooms?max=null&type=group&cursor=c>; rel="next"'),
        ("elsewhere", '<https://webexapis.com.evil.example/v1/rooms?max=2&type=group&cursor=c>; rel="next"'),
        ("garbage", "<<>>;rel=next,;="),
    ],
)
def test_a_next_link_is_broken_as_configured(how: str, link: str) -> None:
    call = Call(Cloud(), "GET", "/v1/rooms", {}, {}, {}, b"")
    good = Reply(200, {"items": []}, {"Link": '<http://x/v1/rooms?max=2&type=group&cursor=c>; rel="next"'})
    assert Fault(broken_next=how).spoil(good, call).headers["link"] == link  # type: ignore[arg-type]  # on purpose


def test_an_invalid_fault_is_refused(webex_cloud: Cloud) -> None:
    for wrong in ({"status": 9000}, {"rate": 2.0}):
        with pytest.raises(ValueError, match="is not"):
            webex_cloud.faults.add(**wrong)
    for unknown in ({"hits": 3}, {"colour": "red"}):
        with pytest.raises(TypeError):
            webex_cloud.faults.add(**unknown)


def test_a_removed_fault_no_longer_applies(webex_cloud: Cloud) -> None:
    fault = webex_cloud.faults.add(status=500)
    webex_cloud.faults.remove(fault)
    assert ask(webex_cloud).status == 200
