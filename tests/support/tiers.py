"""Tests in tiers: offline ones always run; those with Node, a browser, published clients, servers or
databases run on request.

Nothing is left out in silence: the end of the run says which tests did not run and why. With CI=true in the
environment, a test that was asked for and lacks what it needs has failed.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tools.environments import EnvironmentUnavailableError, make

MARKERS = ("node", "browser", "thirdparty", "servers", "services")
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tier",
        choices=("offline", "all", "extra"),
        default="offline",
        help=f"offline (default): all but the tests marked {', '.join(MARKERS)}; extra: only those; all: both",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tier = config.getoption("--tier")
    left_out: Counter[str] = Counter()
    kept, dropped = [], []
    for item in items:
        markers = [name for name in MARKERS if item.get_closest_marker(name)]
        if tier == "all" or (tier == "extra") == bool(markers):
            kept.append(item)
        else:
            dropped.append(item)
            left_out[" and ".join(markers) or "offline"] += 1
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
    config.stash[_LEFT_OUT] = left_out


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    # With xdist only the workers collect: their counts are the same, and the first one's is told.
    left_out = config.stash.get(_LEFT_OUT, Counter())
    for markers, count in sorted(left_out.items()):
        if markers != "offline":
            terminalreporter.write_line(f"LEFT OUT: {count} tests marked {markers}; scripts/test --all runs them.")
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_line(f"LEFT OUT: {len(skipped)} tests skipped; the reasons stand above.")


class _CountsFromWorkers:
    """With xdist the controller collects nothing; a worker tells what it left out."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        told = getattr(node, "workeroutput", {}).get("left_out")
        if told:
            self._config.stash[_LEFT_OUT] = Counter(told)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_CountsFromWorkers(config))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = dict(session.config.stash.get(_LEFT_OUT, Counter()))


def left_out(reason: str) -> None:
    """Skip the running test, loudly; with CI=true, fail it: there everything must be had."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (with CI=true nothing may be left out)", pytrace=False)
    pytest.skip(reason)


def environment(name: str) -> Path:
    """An environment of tools/environments.py, made if it must be; without it the running test is left out."""
    try:
        return make(name)
    except EnvironmentUnavailableError as error:
        left_out(f"the environment {name} could not be made: {error}")
        raise


def program(*names: str) -> str:
    """The path of the first of these programs; without any the running test is left out."""
    for name in names:
        if found := shutil.which(name):
            return found
    left_out(f"none of {', '.join(names)} is on the PATH")
    raise AssertionError
