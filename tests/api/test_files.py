"""Files come whole or not at all, wherever the connection breaks."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.conftest import Asked, Said, Script
from webex import AsyncWebex, ConfigurationError, Webex
from webex.errors import DecodeError, FileError, GoneError, PreconditionRequiredError, TransportError

DATA = bytes(range(256)) * 8000  # more than any library reads ahead


def serving(data: bytes = DATA, *, breaks: int = 0, etag: str = '"1"', shift: int = 0) -> Callable[[Asked], Said]:
    """Serves ranges; the first `breaks` answers break after a million bytes; `shift` makes ranges begin elsewhere."""
    left = [breaks]

    def answer(asked: Asked) -> Said:
        headers = {"etag": etag, "accept-ranges": "bytes", "content-type": "image/png"}
        headers["content-disposition"] = 'attachment; filename="a b.png"'
        start = int(asked.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        cut = None
        if left[0]:
            left[0] -= 1
            cut = 1_000_000
        if not start:
            return Said(200, data, headers, cut)
        start += shift
        headers["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return Said(206, data[start:], headers, cut)

    return answer


def test_file_details_have_name_type_and_size(script: Script, client: Webex) -> None:
    script.answer = serving()
    info = client.files.info(f"{script.url}/v1/contents/C1")
    assert (info.name, info.content_type, info.size) == ("a b.png", "image/png", len(DATA))
    assert script.asked[0].method == "HEAD"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=\"x.txt\"; filename*=UTF-8''%C3%A9.txt", "é.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\x.txt"', "x.txt"),
        ('attachment; filename="100%25.pdf"', "100%25.pdf"),
        ('attachment; filename=".."', "file"),
        ("", "file"),
    ],
)
def test_a_name_is_never_a_path(script: Script, client: Webex, disposition: str, name: str) -> None:
    script.answer = lambda asked: Said(headers={"content-disposition": disposition})
    assert client.files.info("/contents/C1").name == name


@pytest.mark.parametrize(
    "disposition",
    ["attachment; filename*=nonsense''abc%41", "attachment; filename*=utf-8''a%00b", "x; filename*=idna''a"],
)
def test_unreadable_file_name_is_a_decode_error(script: Script, client: Webex, disposition: str) -> None:
    script.answer = lambda asked: Said(headers={"content-disposition": disposition})
    with pytest.raises(DecodeError, match="file name"):
        client.files.info("/contents/C1")


def test_a_download_returns_bytes_or_writes_to_the_target(script: Script, client: Webex, tmp_path: Path) -> None:
    script.answer = serving()
    url = f"{script.url}/v1/contents/C1"
    assert client.files.download(url) == DATA
    assert client.files.download(url, to=tmp_path) == tmp_path / "a b.png"
    assert client.files.download(url, to=str(tmp_path / "own.png")) == tmp_path / "own.png"
    target = io.BytesIO()
    client.files.download(url, to=target)
    assert target.getvalue() == (tmp_path / "own.png").read_bytes() == (tmp_path / "a b.png").read_bytes() == DATA
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b.png", "own.png"]


def test_a_broken_download_is_resumed(script: Script, client: Webex, tmp_path: Path) -> None:
    script.answer = serving(breaks=2)
    heard: list[tuple[int, int | None]] = []
    client.files.download("/contents/C1", to=tmp_path / "x", on_progress=lambda *now: heard.append(now))
    assert (tmp_path / "x").read_bytes() == DATA
    assert len(script.asked) == 3
    assert script.asked[1].headers["range"].startswith("bytes=")
    assert script.asked[1].headers["if-range"] == '"1"'
    assert heard[-1] == (len(DATA), len(DATA))

    async def main() -> bytes | Path:
        script.answer = serving(breaks=2)
        async with AsyncWebex("a-token", emulator_url=script.url) as other:
            return await other.files.download("/contents/C1")

    assert asyncio.run(main()) == DATA


def test_a_changed_file_is_not_resumed(script: Script, client: Webex, tmp_path: Path) -> None:
    first = serving(breaks=1)
    script.answer = lambda asked: first(asked) if len(script.asked) == 1 else Said(200, b"another file" * 200_000)
    with pytest.raises(FileError, match="changed"):
        client.files.download("/contents/C1", to=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_range_with_the_wrong_start_is_refused(script: Script, client: Webex, tmp_path: Path) -> None:
    script.answer = serving(breaks=1, shift=1)
    with pytest.raises(FileError):
        client.files.download("/contents/C1", to=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_download_keeps_the_existing_file(script: Script, client: Webex, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    script.answer = lambda asked: Said(200, DATA, {"accept-ranges": "none"}, 100)
    with pytest.raises(TransportError):
        client.files.download("/contents/C1", to=tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unwritable_target_is_a_file_error(script: Script, client: Webex, tmp_path: Path) -> None:
    script.answer = serving()
    closed = io.BytesIO()
    closed.close()
    for to in (tmp_path / "absent" / "x", io.StringIO(), closed):
        with pytest.raises(FileError):
            client.files.download("/contents/C1", to=to)  # type: ignore[arg-type]  # a text file is wrong


def test_no_token_is_sent_to_another_host(script: Script, client: Webex) -> None:
    script.answer = serving()
    with Webex("a-token", emulator_url="http://127.0.0.1:9") as other:
        other.files.download(f"{script.url}/v1/contents/C1")
    assert "authorization" not in script.asked[0].headers
    client.files.download(f"{script.url}/v1/contents/C1")
    assert script.asked[1].headers["authorization"] == "Bearer a-token"


def test_a_download_waits_for_the_malware_scan(script: Script) -> None:
    served = serving()
    script.answer = lambda asked: Said(423, {}, {"retry-after": "0"}) if len(script.asked) < 3 else served(asked)
    with Webex("a-token", emulator_url=script.url) as other:
        assert other.files.download("/contents/C1") == DATA


def test_infected_and_unscannable_files_are_typed_errors(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(410, {"message": "infected"})
    with pytest.raises(GoneError):
        client.files.download("/contents/C1")
    served = serving()
    script.answer = lambda asked: (
        served(asked) if asked.query.get("allow") == "unscannable" else Said(428, {"message": "no"})
    )
    with pytest.raises(PreconditionRequiredError):
        client.files.download("/contents/C1")
    assert client.files.download("/contents/C1", allow="unscannable") == DATA


@pytest.mark.parametrize("wrong", ["", None, 5])
def test_a_file_is_named_by_its_url(client: Webex, wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        client.files.info(wrong)
