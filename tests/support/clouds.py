"""An emulator as an app finds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from webex.emulator import Cloud

__all__ = ["cloud"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An emulator whose variables are set, except for a person's token: they are those of an app with users."""
    from webex.emulator import Emulator

    with Emulator() as made:
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("WEBEX_ACCESS_TOKEN")
        yield made
