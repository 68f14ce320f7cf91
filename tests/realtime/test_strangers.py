"""A token is told to no stranger, whatever the registration or a server says; and nobody waits for one for ever."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.realtime.helpers import QUICK, client_of, run, shared_room, until
from tests.support.quiet import QUIET
from webex.emulator.cloud import Cloud
from webex.emulator.realtime import wdm
from webex.errors import DeadlineError, RealtimeError, TransportError
from webex.realtime.mercury.socket import MercurySocket

WDM = "/wdm/api/v1/devices"

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
        return serve(self.hear, "127.0.0.1", 0, process_request=self.answer, logger=QUIET, ping_interval=None)


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
                async with asyncio.timeout(50):
                    await bob.messages.listen(**QUICK)
        assert opened == []

    run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "ftp://127.0.0.1/", "127.0.0.1", ""])
def test_an_invalid_socket_url_is_refused(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    own = wdm._record
    monkeypatch.setattr(wdm, "_record", lambda *args: {**own(*args), "webSocketUrl": url})

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(RealtimeError, match="may not receive a token"):
                async with asyncio.timeout(50):
                    await bob.messages.listen(**QUICK)

    run(main())


def test_a_redirected_upgrade_is_not_followed(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_sending_waits_for_a_registration_within_its_timeout(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", timeout=1) as bob:
            room = await shared_room(alice)
            webex_cloud.faults.add(WDM, method="POST", status=503)
            began = time.monotonic()
            with pytest.raises(DeadlineError, match="nothing was sent"):
                await bob.conversations.post(room, "text")
            assert time.monotonic() - began >= 0.9
        assert not webex_cloud.state.messages

    run(main(), 30)
