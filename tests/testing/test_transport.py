"""The emulator as a transport: no socket, both styles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, CLIENT_ID
from webex.errors import DeadlineError, TransportError
from webex.runtime import drive
from webex.runtime.protocol import WireRequest
from webex.testing import EmulatorTransport

URL = "https://webexapis.com/v1/authorizations/tokenExpiry"
TOKEN = {"Authorization": f"Bearer {ALICE_TOKEN}"}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_blocking_style_needs_no_event_loop(cloud: Cloud) -> None:
    transport = cloud.transport()
    assert isinstance(transport, EmulatorTransport)
    response = drive(transport.send(WireRequest("GET", URL, TOKEN)))
    assert response.status == 200
    assert response.headers["content-type"].startswith("application/json")
    assert drive(response.read()).startswith(b'{"exp"')
    drive(response.close())
    drive(transport.aclose())


def test_event_loop_style_runs_at_once(cloud: Cloud) -> None:
    async def main() -> list[int]:
        transport = cloud.transport()
        answers = await asyncio.gather(*(transport.send(WireRequest("GET", URL, TOKEN)) for _ in range(20)))
        assert b"".join([piece async for piece in answers[0].chunks()]).startswith(b'{"exp"')
        return [answer.status for answer in answers]

    assert asyncio.run(main()) == [200] * 20


def test_a_streamed_body_arrives_whole(cloud: Cloud) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"grant_type="
        yield b"nonsense"

    headers = {"content-type": "application/x-www-form-urlencoded"}
    request = WireRequest("POST", "https://webexapis.com/v1/access_token", headers, pieces())
    assert drive(cloud.transport().send(request)).status == 400
    assert cloud.requests.count(grant_type="nonsense") == 1


def test_faults_become_the_sdks_errors(cloud: Cloud) -> None:
    transport = cloud.transport()
    cloud.faults.add(drop=True, count=1)
    with pytest.raises(TransportError, match="dropped"):
        drive(transport.send(WireRequest("GET", URL, TOKEN)))
    cloud.faults.add(truncate=True, count=1)
    cut = drive(transport.send(WireRequest("GET", URL, TOKEN)))
    with pytest.raises(TransportError, match="middle"):
        drive(cut.read())


def test_latency_ends_at_the_requests_deadline_in_both_styles(cloud: Cloud) -> None:
    cloud.faults.add(latency=30)
    request = WireRequest("GET", URL, TOKEN, timeout=0.05)
    start = time.monotonic()
    with pytest.raises(DeadlineError):
        drive(cloud.transport().send(request))
    with pytest.raises(DeadlineError):
        asyncio.run(cloud.transport().send(request))
    assert time.monotonic() - start < 25  # it did not wait for the answers, which take 30 s each


def test_the_log_and_the_state_are_the_clouds(cloud: Cloud) -> None:
    body = f"client_id={CLIENT_ID}&scope=openid".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    request = WireRequest("POST", "https://webexapis.com/v1/device/authorize", headers, body)
    assert drive(cloud.transport().send(request)).status == 200
    assert len(cloud.state.device_codes) == 1
    assert cloud.requests[-1].client_id == CLIENT_ID
