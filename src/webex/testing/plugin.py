"""The pytest plugin: `webex_cloud`, an emulator for one test, and a guard against leaving this machine.

`--webex-storage=module:factory` adds the conformance suite of `webex.storage` for a storage of your own.

Loaded in every pytest run where the package is installed, so it imports nothing until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from webex.bots import Bot
    from webex.emulator import Cloud
    from webex.testing.bots import BotTest
    from webex.testing.guard import Guard


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for a storage, and the ini option that puts every test under guard."""
    group = parser.getgroup("webex")
    group.addoption(
        "--webex-storage-many",
        type=int,
        metavar="COUNT",
        help="how many keys the behaviours of --webex-storage list: 2000 by default, 100000 for the long form",
    )
    group.addoption(
        "--webex-storage",
        metavar="MODULE:FACTORY",
        help="run webex.storage.conformance for the storage that this factory makes, new and empty at each call",
    )
    parser.addini("webex_loopback_only", "fail every test that would leave this machine", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line(
        "markers",
        "webex_cloud(**arguments): arguments of webex.emulator.Emulator for the fixture webex_cloud, such as "
        'rotation="strict", seed="people.json", tls=True',
    )
    config.addinivalue_line("markers", "webex_storage: a behaviour of the storage that --webex-storage names")
    config.addinivalue_line(
        "markers", "webex_loopback_only(*allow): fail the test when it would leave this machine, except to these hosts"
    )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the behaviours of a storage, when one was named."""
    named = config.getoption("--webex-storage")
    if named is not None:
        from webex.testing.storage_items import storage_items

        items += storage_items(session, named)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which behaviours of the storage were not asked for."""
    if config.getoption("--webex-storage") is not None:
        from webex.testing.storage_items import left_out

        for line in left_out(terminalreporter.stats.get("skipped", [])):
            terminalreporter.write_line(line)


@pytest.fixture
def webex_cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Start an emulated Webex cloud for one test; `webex_cloud.url` says where.

    `@pytest.mark.webex_cloud(rotation="strict")` passes arguments to `webex.emulator.Emulator`.
    """
    from webex.emulator import Emulator

    marker = request.node.get_closest_marker("webex_cloud")
    with Emulator(**(marker.kwargs if marker is not None else {})) as cloud:
        yield cloud


@pytest.fixture
def webex_bot(request: pytest.FixtureRequest) -> Iterator[Callable[..., BotTest]]:
    """Give a function that puts a bot under test, in memory or (`door="socket"`) over a real socket."""
    from webex.testing.bots import BotTest

    made: list[BotTest] = []

    def under_test(bot: Bot, **options: Any) -> BotTest:
        made.append(BotTest(bot, **options))
        return made[-1]

    yield under_test
    for each in made:
        each.close()


@pytest.fixture
def webex_env(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Start a cloud and point the environment at it: `WEBEX_EMULATOR_URL`, `WEBEX_ACCESS_TOKEN` and others."""
    from webex.emulator.environment import CONTRADICTING

    for name in CONTRADICTING:
        monkeypatch.delenv(name, raising=False)
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
