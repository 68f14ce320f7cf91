"""The pytest plugin: `webex_cloud`, an emulator for one test, and a guard against leaving this machine.

Loaded in every pytest run where the package is installed, so it imports nothing until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from webex.emulator import Cloud
    from webex.testing.guard import Guard


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option that puts every test under guard."""
    parser.addini("webex_loopback_only", "fail every test that would leave this machine", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line(
        "markers",
        "webex_cloud(**arguments): arguments of webex.emulator.Emulator for the fixture webex_cloud, such as "
        'rotation="strict", seed="people.json", tls=True',
    )
    config.addinivalue_line(
        "markers", "webex_loopback_only(*allow): fail the test when it would leave this machine, except to these hosts"
    )


@pytest.fixture
def webex_cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """An emulated Webex cloud of its own for one test; `webex_cloud.url` says where.

    `@pytest.mark.webex_cloud(rotation="strict")` passes arguments to `webex.emulator.Emulator`.
    """
    from webex.emulator import Emulator

    marker = request.node.get_closest_marker("webex_cloud")
    with Emulator(**(marker.kwargs if marker is not None else {})) as cloud:
        yield cloud


@pytest.fixture
def webex_env(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """`webex_cloud`, with the environment pointing at it: `WEBEX_EMULATOR_URL`, `WEBEX_ACCESS_TOKEN`, …"""
    for name, value in webex_cloud.env.items():
        monkeypatch.setenv(name, value)
    return webex_cloud


@pytest.fixture
def webex_loopback_only(request: pytest.FixtureRequest) -> Iterator[Guard]:
    """Fail this test when it would leave this machine; the marker of the same name does it too."""
    from webex.testing.guard import stay_on_loopback

    marker = request.node.get_closest_marker("webex_loopback_only")
    with stay_on_loopback(*(marker.args if marker is not None else ())) as guard:
        yield guard


@pytest.fixture(autouse=True)
def _webex_guarded(request: pytest.FixtureRequest) -> None:
    wanted = request.node.get_closest_marker("webex_loopback_only") is not None
    if wanted or request.config.getini("webex_loopback_only"):
        request.getfixturevalue("webex_loopback_only")
