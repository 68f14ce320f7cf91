"""A registration over time: refreshed, replaced together with its socket, and never told a token at a foreign host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take, texts, until
from tests.realtime.wiretap import _silent
from webex.emulator.cloud import Cloud
from webex.emulator.realtime import wdm
from webex.errors import DeadlineError, RealtimeError, TransportError
from webex.realtime.socket import MercurySocket
from webex.realtime.timers import Timer, Wheel

WDM = "/wdm/api/v1/devices"
IN_TIME, AGAIN = 960, 60  # seconds until a refresh, and after one that failed


class Due:
    """The timers that were set for so many seconds."""

    def __init__(self) -> None:
        self.timers: dict[float, list[Timer]] = {IN_TIME: [], AGAIN: []}

    def alive(self, seconds: float) -> list[Timer]:
        return [timer for timer in self.timers[seconds] if timer.call is not None]

    def fire(self, seconds: float) -> None:
        """As if the time had come."""
        (timer,) = self.alive(seconds)
        call, timer.call = timer.call, None
        assert call is not None
        call()


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> Due:
    """The refreshes of devices that are due."""
    noted, after = Due(), Wheel.after

    def remembered(wheel: Wheel, seconds: float, call: Callable[[], None]) -> Timer:
        timer = after(wheel, seconds, call)
        if seconds in noted.timers:
            noted.timers[seconds].append(timer)
        return timer

    monkeypatch.setattr(Wheel, "after", remembered)
    return noted


def registrations(cloud: Cloud) -> int:
    return cloud.requests.count(method="POST", path=WDM, status=200)


def refreshes(cloud: Cloud) -> int:
    return cloud.requests.count(method="PUT", path=f"{WDM}/*")


# Refreshing


def test_a_device_that_was_forgotten_under_a_living_socket_takes_a_new_socket_and_loses_nothing(
    webex_cloud: Cloud, due: Due
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one")
                (await anext(events)).ack()
                webex_cloud.mercury.set_faults(lost=1.0, only="conversation.")  # the dead registration brings nothing
                await say(alice, room, "meanwhile")
                webex_cloud.faults.add(f"{WDM}/*", method="PUT", status=404, count=1)
                due.fire(IN_TIME)
                await until(lambda: webex_cloud.mercury.opened_count == 2)
                webex_cloud.mercury.set_faults(lost=0.0)
                await say(alice, room, "after")
                assert texts(await take(events, 2)) == ["meanwhile", "after"]
            assert registrations(webex_cloud) == 2

    run(main())


def test_a_refresh_that_fails_is_tried_again_in_a_minute(webex_cloud: Cloud, due: Due) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob", max_retries=0) as bob, bob.messages.listen(**QUICK) as events:
            webex_cloud.faults.add(f"{WDM}/*", method="PUT", status=503, count=1)
            due.fire(IN_TIME)
            await until(lambda: due.alive(AGAIN))
            assert due.alive(IN_TIME) == []
            due.fire(AGAIN)
            await until(lambda: due.alive(IN_TIME))
            assert due.alive(AGAIN) == []
            assert refreshes(webex_cloud) == 2
            assert events.health.connections == registrations(webex_cloud) == 1

    run(main())


def test_refreshes_do_not_pile_up_over_reconnections_and_end_with_listening(webex_cloud: Cloud, due: Due) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen(first_pause=0.001) as events:
                for count in range(2, 5):
                    webex_cloud.mercury.drop("bob")
                    await until(lambda count=count: events.health.connections == count)
                    await until(lambda count=count: len(due.timers[IN_TIME]) == count)
                    assert len(due.alive(IN_TIME)) == 1
            assert due.alive(IN_TIME) == due.alive(AGAIN) == []

    run(main())


def test_no_device_is_registered_after_the_end(webex_cloud: Cloud, due: Due) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen(**QUICK):
                slow = webex_cloud.faults.add(f"{WDM}/*", method="PUT", status=404, latency=0.2)
                due.fire(IN_TIME)
                await until(lambda: slow.hits)  # the cloud is about to say that it forgot the device
            await asyncio.sleep(0.3)
            assert registrations(webex_cloud) == 1
            assert due.alive(IN_TIME) == due.alive(AGAIN) == []
            assert webex_cloud.mercury.connections("bob") == 0

    run(main())


# Where the token goes


class Stranger:
    """A server that should hear nothing: notes who comes, and answers as it is told."""

    def __init__(self, leads_to: str = "") -> None:
        self.leads_to = leads_to
        self.visits: list[str] = []
        self.port = 0

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.visits.append(request.path)
        if not self.leads_to:
            return None
        headers = Headers({"Location": self.leads_to, "Content-Length": "0"})
        return Response(HTTPStatus.FOUND, "Found", headers, b"")

    async def hear(self, connection: ServerConnection) -> None:
        async for text in connection:
            self.visits.append(str(text))

    def serving(self) -> Any:
        return serve(self.hear, "127.0.0.1", 0, process_request=self.answer, logger=_silent, ping_interval=None)


def test_no_connection_is_made_to_a_socket_at_a_foreign_host(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    async def noted(socket: MercurySocket, url: str, token: str, **options: Any) -> None:
        opened.append(url)
        raise TransportError("nobody there")

    own = wdm._record
    url = "wss://mercury.evil.example/socket"
    monkeypatch.setattr(wdm, "_record", lambda *args: {**own(*args), "webSocketUrl": url})
    monkeypatch.setattr(MercurySocket, "open", noted)

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(RealtimeError, match=r"mercury\.evil\.example"):
                async with asyncio.timeout(5):
                    await bob.messages.listen(**QUICK)
        assert opened == []

    run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "ftp://127.0.0.1/", "127.0.0.1", ""])
def test_an_address_that_is_no_socket_is_refused(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    own = wdm._record
    monkeypatch.setattr(wdm, "_record", lambda *args: {**own(*args), "webSocketUrl": url})

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(RealtimeError, match="may not receive a token"):
                async with asyncio.timeout(5):
                    await bob.messages.listen(**QUICK)

    run(main())


def test_an_upgrade_that_leads_elsewhere_is_not_followed(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    own = wdm._record
    elsewhere, leading = Stranger(), Stranger()

    async def main() -> None:
        async with elsewhere.serving() as second, leading.serving() as first, client_of(webex_cloud, "bob") as bob:
            leading.leads_to = f"ws://127.0.0.1:{second.sockets[0].getsockname()[1]}/"
            url = f"ws://127.0.0.1:{first.sockets[0].getsockname()[1]}/"
            monkeypatch.setattr(wdm, "_record", lambda *args: {**own(*args), "webSocketUrl": url})
            starting = asyncio.ensure_future(bob.messages.listen(first_pause=0.01).start())
            try:
                await until(lambda: len(leading.visits) >= 2)
                assert elsewhere.visits == []
                assert not starting.done()
            finally:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)

    run(main())


# Sending


def test_who_sends_does_not_wait_for_a_registration_longer_than_for_anything(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", timeout=1) as bob:
            room = await shared_room(alice)
            webex_cloud.faults.add(WDM, method="POST", status=503)
            began = time.monotonic()
            with pytest.raises(DeadlineError, match="nothing was sent"):
                await bob.conversations.post(room, "text")
            assert 0.9 <= time.monotonic() - began < 10
        assert not webex_cloud.state.messages

    run(main(), 30)
