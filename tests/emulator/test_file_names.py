"""Names of uploaded files come back as they were sent, over the wire and through the SDK."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from webex import Webex
from webex.emulator import Emulator


@pytest.mark.parametrize(
    "name", ["résumé.pdf", "100%25.pdf", "50%.txt", 'a"b.txt', "a%2Fb.txt", "x; y=z.txt", "日本.txt"]
)
def test_uploaded_file_keeps_its_name(name: str) -> None:
    with Emulator() as emulator, Webex(emulator.token_for("alice@example.com"), emulator_url=emulator.url) as client:
        room = client.rooms.create(title="files")
        message = client.messages.create(room_id=room.id, files=[(name, b"data")])
        assert message.files
        assert client.files.info(message.files[0]).name == name


@pytest.mark.parametrize(
    ("octets", "status"),
    [(b"r\xe9sum\xe9.pdf", 200), ("résumé.pdf".encode(), 200), (b"a\0b.pdf", 400), (b"../..", 200)],
)
def test_emulator_reads_octets_of_file_names(octets: bytes, status: int) -> None:
    with Emulator() as emulator:
        token = emulator.token_for("alice@example.com")
        with Webex(token, emulator_url=emulator.url) as client:
            room = client.rooms.create(title="files")
            head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="' + octets + b'"\r\n\r\ndata\r\n'
            room_part = (
                b'--b\r\nContent-Disposition: form-data; name="roomId"\r\n\r\n' + room.id.encode() + b"\r\n--b--\r\n"
            )
            sent = urllib.request.Request(
                f"{emulator.url}/v1/messages",
                head + room_part,
                {"authorization": f"Bearer {token}", "content-type": "multipart/form-data; boundary=b"},
            )
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sent) as answer:
                    assert answer.status == status
            except urllib.error.HTTPError as error:
                assert error.code == status  # noqa: PT017
                return
            (message,) = client.messages.list(room_id=room.id)
            assert message.files
            name = client.files.info(message.files[0]).name
            assert name == ("résumé.pdf" if b"sum" in octets else "file")
