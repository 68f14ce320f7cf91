"""`pytest --webex-storage=module:factory`: the conformance suite as tests, with nothing written.

The factory makes a new, empty storage at each call. Where it has attributes `open_again`, `advance`, `cut`, `tick`,
`many`, `server_clock` or `style`, as a class or an object with `__call__` may, they are the suite's options of these
names (`webex.storage.conformance.cases`); `--webex-storage-many` overrides `many`. A storage that serves both styles is
tried in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from webex.importing import import_named
from webex.runtime import drive
from webex.storage import conformance
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.conformance.harness import close

_OPTIONS = ("open_again", "advance", "cut", "tick", "many", "server_clock")
_SKIPPED = "webex storage: not asked for: "


class StorageItem(pytest.Item):
    """One behaviour of the suite, in one style."""

    def __init__(self, *, case: conformance.Case, named: str, **options: Any) -> None:
        super().__init__(**options)
        self._case = case
        self._named = named
        self.add_marker("webex_storage")

    def runtest(self) -> None:
        """Try the behaviour; pytest takes `unittest.SkipTest` for a skip."""
        self._case()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what is broken, and the traceback only of what was not expected."""
        if isinstance(excinfo.value, conformance.BrokenError):
            return f"{self._named} breaks a behaviour: {self._case.behaviour.text}.\nBut {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        """Return where it belongs, and its name."""
        return self._named, None, self.name


def storage_items(session: pytest.Session, named: str) -> list[pytest.Item]:
    """Return the items for the factory that is named; `pytest.UsageError` when there is none."""
    factory = _factory(named)
    options = {name: getattr(factory, name) for name in _OPTIONS if getattr(factory, name, None) is not None}
    many = session.config.getoption("--webex-storage-many")
    if many is not None:
        options["many"] = many
    items: list[pytest.Item] = []
    for style in _styles(factory, named):
        items += [
            StorageItem.from_parent(session, name=f"{named}[{style}]::{case}", case=case, named=named)
            for case in conformance.cases(factory, style=style, **options)
        ]
    return items


def left_out(skipped: Iterable[Any]) -> list[str]:
    """Return a line for each reason for which behaviours of the storage were skipped."""
    by_reason: dict[str, list[str]] = {}
    for report in skipped:
        if "webex_storage" in getattr(report, "keywords", {}):
            reason = str(report.longrepr[-1]).removeprefix("Skipped: ")
            by_reason.setdefault(reason, []).append(report.nodeid.rpartition("::")[2])
    return [f"{_SKIPPED}{', '.join(sorted(set(names)))} ({reason})" for reason, names in sorted(by_reason.items())]


def _factory(named: str) -> Callable[[], object]:
    try:
        found: Any = import_named(named)
    except ImportError as error:
        raise pytest.UsageError(f"--webex-storage={named}: {error}") from error
    if not callable(found):
        raise pytest.UsageError(f"--webex-storage={named}: {named.partition(':')[2]} can't be called to make a storage")
    made: Callable[[], object] = found
    return made


def _styles(factory: Callable[[], object], named: str) -> list[conformance.Style | None]:
    declared: conformance.Style | None = getattr(factory, "style", None)
    if declared is not None:
        return [declared]
    try:
        made: Any = factory()
        if hasattr(made, "__await__"):
            getattr(made, "close", lambda: None)()
            return ["async"]
        both = hasattr(made, "bind_async") and not getattr(made, "asynchronous", False)
    except Exception as error:
        raise pytest.UsageError(f"--webex-storage={named}: it raised {type(error).__name__}: {error}") from error
    if not is_asynchronous(as_storage(made)):
        drive(close(made, asynchronous=False))
    return ["blocking", "async"] if both else [None]
