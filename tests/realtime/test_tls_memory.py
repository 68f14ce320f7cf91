"""An idle connection over TLS keeps a small buffer, through which large frames come whole."""

from __future__ import annotations

from asyncio import sslproto

from tests.realtime.helpers import client_of, run, shared_room, take
from webex import AsyncWebex
from webex.emulator import Emulator
from webex.realtime.mercury.connection import _TLS_BUFFER, Connection


def test_large_frames_pass_through_a_small_buffer() -> None:
    made: list[Connection] = []
    original = Connection.connection_made

    def noting(self: Connection, transport: object) -> None:
        original(self, transport)  # type: ignore[arg-type]  # as it came
        made.append(self)

    Connection.connection_made = noting  # type: ignore[method-assign,assignment]  # put back below
    try:
        with Emulator(tls=True) as cloud:

            async def main() -> None:
                bob = AsyncWebex(cloud.token_for("bob"), emulator_url=cloud.tls_url, ca_bundle=str(cloud.ca_file))
                async with client_of(cloud) as alice, bob:
                    room = await shared_room(alice)
                    async with bob.messages.listen() as events:
                        text = "ä" * 3700
                        for _ in range(30):
                            await alice.messages.create(room_id=room, text=text)
                        assert [event.data.text for event in await take(events, 30)] == [text] * 30
                        for connection in made:
                            protocol = connection.transport._ssl_protocol  # type: ignore[attr-defined]  # of asyncio
                            assert len(protocol._ssl_buffer) == _TLS_BUFFER

            run(main())
    finally:
        Connection.connection_made = original  # type: ignore[method-assign]  # as it was
    assert made
    assert sslproto.SSLProtocol.max_size > _TLS_BUFFER, "other connections of the process are left alone"
