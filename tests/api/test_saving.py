"""Downloads on disk: nothing of anyone else is overwritten or changed, and nothing is left behind."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.api.conftest import Asked, Said, Script
from webex import Webex
from webex.errors import FileError, WebexError


@pytest.fixture
def named(script: Script) -> Script:
    def answer(asked: Asked) -> Said:
        return Said(200, b"new bytes", {"content-disposition": 'attachment; filename="name.txt"'})

    script.answer = answer
    return script


def _url(script: Script) -> str:
    return f"{script.url}/v1/contents/f"


def test_senders_file_name_never_overwrites_a_file(named: Script, client: Webex, tmp_path: Path) -> None:
    (tmp_path / "name.txt").write_bytes(b"mine")

    saved = [client.files.download(_url(named), to=tmp_path) for _ in range(3)]

    assert saved == [tmp_path / f"name ({n}).txt" for n in (2, 3, 4)]
    assert (tmp_path / "name.txt").read_bytes() == b"mine"
    assert all(Path(os.fspath(path)).read_bytes() == b"new bytes" for path in saved if isinstance(path, Path))
    assert {file.name for file in tmp_path.iterdir()} == {"name.txt", "name (2).txt", "name (3).txt", "name (4).txt"}


def test_senders_file_name_never_follows_a_symlink(named: Script, client: Webex, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "name.txt").symlink_to(secret)
    (folder / "name (2).txt").symlink_to(tmp_path / "dangling")

    assert client.files.download(_url(named), to=folder) == folder / "name (3).txt"

    assert secret.read_bytes() == b"mine"
    assert not (tmp_path / "dangling").exists()


@pytest.mark.parametrize("name", ["archive.tar.gz", "no suffix", "résumé.pdf", ".profile", "a" * 300 + ".txt"])
def test_second_file_of_the_same_name_gets_a_new_name(script: Script, client: Webex, tmp_path: Path, name: str) -> None:
    header = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    script.answer = lambda asked: Said(200, b"bytes", header)

    first, second = (client.files.download(_url(script), to=str(tmp_path)) for _ in range(2))

    assert isinstance(first, Path)
    assert isinstance(second, Path)
    assert second.name == f"{first.stem} (2){first.suffix}"
    assert len(list(tmp_path.iterdir())) == 2


def test_named_path_is_replaced_with_its_mode(named: Script, client: Webex, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"old")
    path.chmod(0o640)

    assert client.files.download(_url(named), to=path) == path

    assert path.read_bytes() == b"new bytes"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_new_file_has_the_mode_of_the_process(named: Script, client: Webex, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    client.files.download(_url(named), to=tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_named_symlink_is_kept(named: Script, client: Webex, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    client.files.download(_url(named), to=tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new bytes"


def test_device_file_is_kept(named: Script, client: Webex, tmp_path: Path) -> None:
    before = os.stat("/dev/null")
    assert client.files.download(_url(named), to="/dev/null") == Path("/dev/null")
    after = os.stat("/dev/null")
    assert (after.st_mode, after.st_rdev, after.st_ino) == (before.st_mode, before.st_rdev, before.st_ino)


@pytest.mark.parametrize("there", [True, False])
def test_broken_download_keeps_existing_files(script: Script, client: Webex, tmp_path: Path, there: bool) -> None:
    def answer(asked: Asked) -> Said:
        if "range" in asked.headers:
            return Said(416)
        return Said(200, b"x" * 1000, {"content-disposition": 'attachment; filename="name.txt"'}, cut_after=300)

    script.answer = answer
    if there:
        (tmp_path / "name.txt").write_bytes(b"mine")
    for to in (tmp_path, tmp_path / "name.txt"):
        with pytest.raises(WebexError):
            client.files.download(_url(script), to=to)

    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("name.txt", b"mine")] * there


def test_failing_progress_callback_leaves_nothing(named: Script, client: Webex, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.files.download(_url(named), to=tmp_path, on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_named(named: Script, client: Webex, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="missing"):
        client.files.download(_url(named), to=tmp_path / "missing" / "file")


@pytest.mark.parametrize("path", ["a\0b", "\ud800", Path("a\0b")])
def test_path_that_no_file_can_have_is_refused(named: Script, client: Webex, path: str | Path) -> None:
    with pytest.raises(FileError, match="NUL or half a character"):
        client.files.download(_url(named), to=path)
