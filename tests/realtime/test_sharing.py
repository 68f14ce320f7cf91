"""Several files in one share, their previews, and what of them is downloaded."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import client_of, run, shared_room, take
from tests.realtime.pictures import gif, jpeg, png
from webex.emulator.accounts import BOB_ID
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, DecryptionError, EncryptionError, FileError
from webex.ids import content_id, to_hydra_id, to_uuid
from webex.realtime import OutgoingFile
from webex.realtime.conversations.previews import picture_size


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)


def shared(cloud: Cloud) -> list[dict[str, Any]]:
    """What the shares of clients said."""
    return [request.body for request in cloud.requests.find(method="POST", path="/conversation/api/v1/*/content")]


def test_several_files_are_one_message(webex_cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"some notes")

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                files = [path, io.BytesIO(b"an object"), OutgoingFile(b"bytes", name="bytes.bin")]
                sent = await alice.conversations.share(room, files, "three files")
                (event,) = await take(events)
                assert (event.data.id, event.data.text) == (sent, "three files")
                assert event.data.files is not None
                assert len(event.data.files) == 3
                assert [file["displayName"] for file in event.files] == ["notes.txt", "file", "bytes.bin"]
                opened = [await bob.conversations.download(file) for file in event.files]
            assert opened == [b"some notes", b"an object", b"bytes"]
            assert shared(webex_cloud)[0]["object"]["contentCategory"] == "documents"

    run(main())


def test_a_list_of_bytes_is_one_file_in_chunks(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.conversations.share(room, [b"one ", b"file"], name="pieces.txt")
                (event,) = await take(events)
                assert await bob.conversations.download(event.files[0]) == b"one file"

    run(main())


def test_a_share_can_reply_and_mention_people(webex_cloud: Cloud) -> None:
    bob = to_hydra_id("PEOPLE", BOB_ID)
    html = f'<spark-mention data-object-type="person" data-object-id="{bob}">Bob</spark-mention>'

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            first = await alice.conversations.post(room, "first")
            answer = await alice.conversations.share(room, b"x", "Bob", html=html, name="x.txt", parent_id=first)
            message = await alice.messages.get(answer)
            assert (message.parent_id, message.mentioned_people) == (first, [bob])

    run(main())


@pytest.mark.usefixtures("without_pillow")
def test_a_given_preview_is_encrypted_with_its_size(webex_cloud: Cloud) -> None:
    small, large = png(4, 3), png(40, 30)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.conversations.share(room, large, name="a.png", thumbnail=small)
                (event,) = await take(events)
                image = event.files[0]["image"]
                assert (image["width"], image["height"]) == (4, 3)
                assert await bob.conversations.download(image) == small
                assert await bob.conversations.download(event.files[0]) == large
        (body,) = shared(webex_cloud)
        (item,) = body["object"]["files"]["items"]
        assert body["object"]["contentCategory"] == "images"
        assert (item["width"], item["height"], item["image"]["mimeType"]) == (40, 30, "image/png")
        assert item["image"]["scr"].count(".") == 4
        assert webex_cloud.requests.find(method="PUT", path="/conversation/api/v1/conversations/*/space/hidden")

    run(main())


def test_pillow_makes_the_preview_of_a_picture(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                files = [
                    OutgoingFile(png(1280, 640), name="a.png"),
                    OutgoingFile(png(1280, 640), name="b.png", thumbnail=False),
                    OutgoingFile(b"no picture", name="c.png"),
                ]
                await alice.conversations.share(room, files)
                (event,) = await take(events)
                image = event.files[0]["image"]
                assert (image["width"], image["height"]) == (640, 320)
                assert picture_size(await bob.conversations.download(image)) == ("image/png", 640, 320)
                assert ["image" in file for file in event.files] == [True, False, False]

    run(main())


@pytest.mark.usefixtures("without_pillow")
def test_without_pillow_a_picture_has_no_preview(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.share(room, png(40, 30), name="a.png")
        (item,) = shared(webex_cloud)[0]["object"]["files"]["items"]
        assert ("image" in item, item["width"], item["height"]) == (False, 40, 30)

    run(main())


@pytest.mark.parametrize(
    ("made", "kind"),
    [(png(5, 7), "image/png"), (gif(5, 7), "image/gif"), (jpeg(5, 7), "image/jpeg")],
    ids=["png", "gif", "jpeg"],
)
def test_the_size_of_a_picture_is_read_from_its_header(made: bytes, kind: str) -> None:
    assert picture_size(made) == (kind, 5, 7)
    for end in range(len(made)):
        picture_size(made[:end])  # a cut one is no error


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception]]] = {
    "an empty list": ([], {}, ConfigurationError),
    "a name for several": ([Path("a"), Path("b")], {"name": "c"}, ConfigurationError),
    "a preview for several": ([Path("a"), Path("b")], {"thumbnail": png(1, 1)}, ConfigurationError),
    "a name beside an outgoing file": (OutgoingFile(b"x"), {"name": "c"}, ConfigurationError),
    "a preview that is no picture": (b"x", {"thumbnail": b"text"}, ConfigurationError),
    "a preview that is no bytes": (b"x", {"thumbnail": True}, ConfigurationError),
    "an empty file": ([OutgoingFile(b"x"), OutgoingFile(b"")], {}, FileError),
    "a file that is not there": ([OutgoingFile(b"x"), Path("/nowhere/at/all")], {}, FileError),
}


@pytest.mark.parametrize("case", BAD)
def test_unshareable_files_are_refused_before_sending(webex_cloud: Cloud, case: str) -> None:
    files, more, kind = BAD[case]

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.requests.clear()
            with pytest.raises(kind):
                await alice.conversations.share(room, files, **more)
            assert webex_cloud.requests.find(path="/*") == []

    run(main())


# Downloads


def test_a_download_target_is_bytes_path_folder_or_file_object(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.conversations.share(room, b"contents", name="a.txt")
                (event,) = await take(events)
                (file,) = event.files
                download = bob.conversations.download
                assert await download(file) == b"contents"
                assert (await download(file, tmp_path / "b.txt")).read_bytes() == b"contents"
                assert await download(file, tmp_path) == tmp_path / "a.txt"
                object_ = io.BytesIO()
                assert (await download(file, object_), object_.getvalue()) == (8, b"contents")
                with pytest.raises(FileError, match="binary"):
                    await download(file, io.StringIO())  # type: ignore[call-overload]  # the point of the test

    run(main())


def test_a_tampered_file_writes_nothing_to_a_file_object(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.conversations.share(room, b"contents", name="a.txt")
                (event,) = await take(events)
                for to in (io.BytesIO(), None):
                    webex_cloud.conversations.set_faults(changed_file=1)
                    with pytest.raises(DecryptionError):
                        await bob.conversations.download(event.files[0], to)  # type: ignore[call-overload]  # of the two
                    assert to is None or to.getvalue() == b""

    run(main())


def test_a_file_is_downloaded_by_its_public_url_and_decrypted(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            files = [OutgoingFile(b"one", name="1.txt"), OutgoingFile(b"two", name="2.txt")]
            message = await alice.messages.get(await alice.conversations.share(room, files))
            assert message.files is not None
            download = bob.conversations.download
            assert [await download(url) for url in message.files] == [b"one", b"two"]
            assert await download(message.files[1], tmp_path) == tmp_path / "2.txt"
            key = webex_cloud.state.rooms[to_uuid(room)].key_uri or ""
            assert await download((message.files[0], key)) == b"one"
            absent = f"{webex_cloud.url}/v1/contents/{content_id(to_uuid(str(message.id)), 2)}"
            with pytest.raises(EncryptionError, match="no such file"):
                await download(absent)

    run(main())


def test_a_file_is_decrypted_by_its_url_and_encrypted_scr(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.conversations.share(room, b"contents", name="a.txt")
            address = f"{webex_cloud.url}/conversation/api/v1/activities/{to_uuid(sent)}"
            (item,) = (await bob.request("GET", address)).json()["object"]["files"]["items"]
            url, key = item["url"], webex_cloud.state.rooms[to_uuid(room)].key_uri or ""
            download = bob.conversations.download
            assert await download((url, item["scr"]), key_uri=key) == b"contents"
            assert await download({**item, "encryptionKeyUrl": key}) == b"contents"
            assert await download({**item, "encryptionKeyUrl": key}, tmp_path) == tmp_path / "a.txt"
            with pytest.raises(ConfigurationError, match="key_uri="):
                await download((url, item["scr"]))
            with pytest.raises(DecryptionError):
                await download((url, item["scr"][:-4] + "AAAA"), key_uri=key)
            with pytest.raises(DecryptionError, match="could not be had"):
                await download((url, item["scr"]), key_uri=key[:-4] + "0000")

    run(main())


@pytest.mark.parametrize("file", ["https://example.com/a.txt", ("a", "b", "c"), 7], ids=["url", "triple", "number"])
def test_an_invalid_file_is_refused(webex_cloud: Cloud, file: Any) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            with pytest.raises(ConfigurationError, match="URL"):
                await alice.conversations.download(file)

    run(main())
