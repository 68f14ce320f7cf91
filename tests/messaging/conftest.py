"""A cloud, and clients of two people and a bot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from webex import Webex
from webex.emulator import Cloud, Emulator


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with Emulator() as made:
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def alice(cloud: Cloud) -> Iterator[Webex]:
    with Webex(cloud.token_for("alice")) as client:
        yield client


@pytest.fixture
def bob(cloud: Cloud) -> Iterator[Webex]:
    with Webex(cloud.token_for("bob")) as client:
        yield client


@pytest.fixture
def bot(cloud: Cloud) -> Iterator[Webex]:
    with Webex(cloud.env["WEBEX_BOT_TOKEN"]) as client:
        yield client
