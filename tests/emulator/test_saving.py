"""The emulator's data file changes nothing that the emulator did not make."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from webex.emulator import Cloud
from webex.emulator.persistence import save


def test_device_is_refused() -> None:
    before = Path("/dev/null").stat().st_mode
    with pytest.raises(ValueError, match="no regular file"):
        save(Cloud(), "/dev/null")
    assert Path("/dev/null").stat().st_mode == before


def test_existing_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.touch()
    real.chmod(0o664)
    link.symlink_to(real)
    save(Cloud(), link)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o664
    assert real.stat().st_size > 0
