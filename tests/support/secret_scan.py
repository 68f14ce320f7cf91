"""Fails the run if any secret that an emulator issued stands in what the suite printed or logged.

Every process notes what its emulators issue (`tests/support/startup/sitecustomize.py`) in a folder of this run. Noted
too is what tests print and log, down to debug, and what the programs that they start print when it is read through
`subprocess`. At the end one is looked up in the other. A test that must print secrets is marked
`prints_secrets(reason)`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.startup.sitecustomize import FOLDER_VARIABLE, note_issued_secrets

_SITE = Path(__file__).parent / "startup"
_SHORTEST = 16  # characters of a secret that are a leak: a log may cut off the rest
_RUN = re.compile(r"[A-Za-z0-9+/]{16,}")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}")


class Scanner:
    """Finds secrets in text. A secret counts as found when its first 16 characters are."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._heads = {secret[:_SHORTEST] for secret in secrets if len(secret) >= _SHORTEST}

    def found_in(self, text: str) -> Iterator[str]:
        """What was found, shortened so that it can be shown."""
        for match in _JWT.finditer(text):
            yield f"a signed token, {match.group()[:12]}…"
        for match in _RUN.finditer(text):
            run = match.group()
            for start in range(len(run) - _SHORTEST + 1):
                if run[start : start + _SHORTEST] in self._heads:
                    yield f"{run[start : start + 6]}…"
                    break


def note(text: str) -> None:
    """Have this text scanned too: for a test that reads a program's output or log file by itself."""
    for recorder in _recorders:
        recorder.note([text])


_recorders: list[_Recorder] = []


class _Recorder:
    """Runs in each pytest process: notes secrets, and the output of programs that tests start."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / f"{os.getpid()}.output"
        self._exempt = False
        note_issued_secrets(str(folder))
        communicate = subprocess.Popen.communicate

        def noted(process: Any, *args: Any, **kwargs: Any) -> Any:
            result = communicate(process, *args, **kwargs)
            self.note(part for part in result if part)
            return result

        subprocess.Popen.communicate = noted  # type: ignore[method-assign]  # the suite's own ear

    def note(self, parts: Iterable[str | bytes]) -> None:
        """Keep this for the scan, unless the running test is exempt."""
        if self._exempt:
            return
        test = os.environ.get("PYTEST_CURRENT_TEST", "outside of tests").split(" ")[0]
        with self._output.open("a", encoding="utf-8", errors="replace") as file:
            for part in parts:
                text = part if isinstance(part, str) else part.decode(errors="replace")
                file.write(f"\x1e{test}\x1f{text}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._exempt = item.get_closest_marker("prints_secrets") is not None
        try:
            return (yield)
        finally:
            self._exempt = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report = yield
        if self._exempt:
            report.user_properties.append(("prints_secrets", True))
        return report


class _Judge:
    """Runs in the process that the person started: gathers, and judges at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts = folder / "reports.output"
        self._leaks: list[str] = []
        self._scanned = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "teardown" or ("prints_secrets", True) in report.user_properties:
            return
        with self._texts.open("a", encoding="utf-8", errors="replace") as file:
            for _, text in report.sections:
                file.write(f"\x1e{report.nodeid}\x1f{text}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        secrets = {line for path in self._folder.glob("*.secrets") for line in path.read_text().splitlines()}
        scanner = Scanner(secrets)
        for path in self._folder.glob("*.output"):
            for record in path.read_text(encoding="utf-8").split("\x1e")[1:]:
                test, _, text = record.partition("\x1f")
                self._scanned += len(text)
                self._leaks += [f"{test}: {found}" for found in sorted(set(scanner.found_in(text)))]
        self._issued = len(secrets)
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._leaks:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._leaks:
            terminalreporter.section("SECRETS IN THE OUTPUT", red=True, bold=True)
            for leak in self._leaks[:50]:
                terminalreporter.write_line(leak)
            terminalreporter.write_line(f"{len(self._leaks)} leaks: the run has failed.")
        else:
            kilobytes = self._scanned // 1024
            terminalreporter.write_line(f"No secret of {self._issued} issued ones in {kilobytes} KiB of output.")


def pytest_configure(config: pytest.Config) -> None:
    worker = hasattr(config, "workerinput")
    if not worker:
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="webex-secret-scan-")
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(_SITE), *([path] if path else [])])
    folder = Path(os.environ[FOLDER_VARIABLE])
    _recorders.append(_Recorder(folder))
    config.pluginmanager.register(_recorders[-1])
    if not worker:
        config.pluginmanager.register(_Judge(folder))
