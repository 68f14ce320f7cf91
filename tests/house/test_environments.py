"""Environments of the house: where they are kept, and what is said when one cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import environments


def test_the_cache_follows_the_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("WEBEX_DEV_CACHE", raising=False)
    assert environments.cache_folder() == tmp_path / "home" / ".cache" / "webex-python-sdk"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert environments.cache_folder() == tmp_path / "xdg" / "webex-python-sdk"
    monkeypatch.setenv("WEBEX_DEV_CACHE", str(tmp_path / "own"))
    assert environments.cache_folder() == tmp_path / "own"


def test_cache_is_in_the_checkout_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "WEBEX_DEV_CACHE"):
        monkeypatch.setenv(name, "")
    assert environments.cache_folder() == environments.ROOT / ".cache"


def test_an_unknown_environment_is_named() -> None:
    with pytest.raises(environments.EnvironmentUnavailableError, match="no environment 'nothing'"):
        environments.make("nothing")


def test_missing_node_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(environments.EnvironmentUnavailableError, match="Node and npm"):
        environments.make("node-webex")


def test_a_failing_installation_shows_its_last_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_text("webex-no-such-package==0 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    monkeypatch.setitem(environments.PYTHON, "broken", environments.PythonEnvironment(("broken",)))
    for name, value in {
        "WEBEX_DEV_CACHE": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(environments.shutil, "which", lambda _: None)  # no uv: it knows nothing of pip's settings
    with pytest.raises(environments.EnvironmentUnavailableError, match="webex-no-such-package"):
        environments.make("broken")
