"""Published clients, each in a process of its own, in front of one emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tiers import environment, program
from tests.thirdparty.clients import Client
from webex.emulator import Cloud, Emulator

HERE = Path(__file__).parent


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Emulator() as started:
        yield started


@pytest.fixture
def start(cloud: Cloud) -> Iterator[Callable[[str], Client]]:
    """Start a client by name: `python` (webexpythonsdk) or `node` (npm webex)."""
    started: list[Client] = []

    def start_one(name: str) -> Client:
        variables = {"BASE": cloud.url}
        if name == "node":
            variables["WEBEX_NODE_MODULES"] = str(environment("node-webex") / "node_modules")
            command = [program("node"), str(HERE / "node" / "client.js")]
        else:
            command = [str(environment("webexpythonsdk")), str(HERE / "python_client.py")]
        started.append(Client(command, variables))
        return started[-1]

    yield start_one
    for client in started:
        client.close()


@pytest.fixture(
    params=[
        pytest.param("python", marks=pytest.mark.thirdparty, id="webexpythonsdk"),
        pytest.param("node", marks=[pytest.mark.thirdparty, pytest.mark.node], id="npm-webex"),
    ]
)
def client(request: pytest.FixtureRequest, start: Callable[[str], Client]) -> Client:
    """Each of the clients in turn, signed in as Alice with her token."""
    from webex.emulator import accounts

    made = start(request.param)
    made("with_token", token=accounts.ALICE_TOKEN)
    return made
