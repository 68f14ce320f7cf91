"""The suite that any storage adapter must pass, ours or yours.

In a script:

```python
from webex.storage import conformance

conformance.verify(MyStorage)                       # raises ConformanceError with every behaviour that is broken
failures = conformance.run(MyStorage)               # or a list of them, empty when all is well
print(failures.skipped)                             # what was not asked for, and why
```

In a test file, one test for each behaviour:

```python
class TestMyStorage(conformance.StorageConformance):
    def make_storage(self):
        return MyStorage()
```

And with nothing written at all: `pytest --webex-storage=my_module:MyStorage`.

What an adapter does not claim in its `capabilities` is not asked for, and neither is what needs an argument that was
not given; `run` and `verify` warn of each (`ConformanceWarning`). This module needs no test framework.
"""

from __future__ import annotations

import unittest
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

from webex.runtime import drive
from webex.storage.conformance import full, leases, notifications, plain, resilience, shared  # noqa: F401  # they fill the list
from webex.storage.conformance.behaviours import BEHAVIOURS, Behaviour
from webex.storage.conformance.harness import BrokenError, Harness
from webex.storage.wrappers import settle

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "BrokenError",
    "Case",
    "ConformanceError",
    "ConformanceWarning",
    "Failure",
    "Options",
    "Report",
    "Skipped",
    "StorageConformance",
    "Style",
    "cases",
    "run",
    "verify",
]

MakeStorage = Callable[[], object]
Style = Literal["blocking", "async"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A behaviour that is broken: its name, what it asks for, what happened instead, and the exception."""

    name: str
    behaviour: str
    reason: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.name}: {self.behaviour}. But {self.reason}"


class ConformanceError(AssertionError):
    """The storage breaks behaviours; `failures` lists them."""

    def __init__(self, failures: list[Failure]) -> None:
        self.failures = failures
        lines = "\n".join(f"  - {failure}" for failure in failures)
        super().__init__(f"{len(failures)} behaviours are broken:\n{lines}")

    def __reduce__(self) -> tuple[type[ConformanceError], tuple[list[Failure]], dict[str, Any]]:
        return type(self), (self.failures,), vars(self)


class Skipped(NamedTuple):
    """A behaviour that was not asked for, and why."""

    name: str
    reason: str


class Report(list[Failure]):
    """The behaviours that are broken, and in `skipped` those that were not asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: list[Skipped] = []


class ConformanceWarning(UserWarning):
    """Some behaviours were not tried."""


class Options(TypedDict, total=False):
    """What `cases`, `run` and `verify` take beside the storage; see `cases`."""

    style: Style | None
    open_again: Callable[[], object] | None
    advance: Callable[[float], object] | None
    tick: float
    cut: Callable[[], object] | None
    many: int
    server_clock: bool


@dataclass(frozen=True, slots=True)
class Case:
    """One behaviour, to be tried on one kind of storage: call it. `unittest.SkipTest` when it is not asked for."""

    behaviour: Behaviour
    make_storage: MakeStorage
    style: Style | None = None
    open_again: Callable[[], object] | None = None
    advance: Callable[[float], object] | None = None
    tick: float = 0.2
    cut: Callable[[], object] | None = None
    many: int = 2000
    server_clock: bool = False

    def __call__(self) -> None:
        style = self.style
        adapter = None
        if style is None:
            adapter = self.make_storage()
            style = "async" if hasattr(adapter, "__await__") or self._harness(adapter).asynchronous else "blocking"
        work = self._tried(adapter)
        if style == "blocking":
            drive(work)
        else:
            import asyncio

            asyncio.run(work)

    async def _tried(self, adapter: object | None) -> None:
        adapter = await settle(self.make_storage() if adapter is None else adapter)
        harness = self._harness(adapter)
        try:
            missing = [name for name in self.behaviour.needs if not getattr(harness.capabilities, name)]
            if missing:
                raise unittest.SkipTest(f"the storage does not claim {', '.join(missing)}")
            if self.behaviour.again and self.open_again is None:
                raise unittest.SkipTest("open_again was not given")
            if self.behaviour.event_loop and not harness.asynchronous:
                raise unittest.SkipTest("it is about async def methods")
            if self.behaviour.cut and self.cut is None:
                raise unittest.SkipTest("cut was not given")
            if self.behaviour.server_clock and not self.server_clock:
                raise unittest.SkipTest("server_clock was not given")
            await self.behaviour.trial(harness)
        finally:
            await harness.close()

    def _harness(self, adapter: object) -> Harness:
        return Harness(
            adapter,
            open_again=self.open_again,
            advance=self.advance,
            tick=self.tick,
            style=self.style,
            cut=self.cut,
            many=self.many,
        )

    def __str__(self) -> str:
        return self.behaviour.name


def cases(make_storage: MakeStorage, **options: Unpack[Options]) -> list[Case]:
    """Return the suite as a list of calls, for `@pytest.mark.parametrize("case", …, ids=str)`; then `case()`.

    - `make_storage` makes a new, empty storage (anything that `as_storage` takes) for each behaviour; it may be
      asynchronous, and what it makes is closed if it has `close()`, or `aclose()` in event-loop style.
    - `style` is found by looking at the adapter; give it for one that can only be made inside an event loop, and for
      one that serves both, of which "blocking" is tried otherwise.
    - `open_again` makes another adapter for the data of the latest one, as after a restart; it may be asynchronous. The
      capabilities `durable` and `shared` are tried only with it. Other processes call it too, so it can be pickled,
      such as `functools.partial(SQLiteStorage, path)`.
    - `advance(seconds)` moves the storage's clock; without it the suite waits. `tick` is the shortest expiry in
      seconds that the storage keeps exactly.
    - `cut()` cuts the storage's connections to its server, which goes on running.
    - `many` is the number of keys that are listed.
    - `server_clock=True` says that values and leases live by a server's clock: then they are tried also while the clock
      of this process is an hour ahead or behind.
    """
    return [Case(one, make_storage, **options) for one in BEHAVIOURS]


def run(make_storage: MakeStorage, **options: Unpack[Options]) -> Report:
    """Every behaviour that the storage breaks; empty when it conforms. The arguments are those of `cases`.

    `skipped` of the result lists what was not asked for; a `ConformanceWarning` says it too.
    """
    report = Report()
    for case in cases(make_storage, **options):
        try:
            case()
        except unittest.SkipTest as skipped:
            report.skipped.append(Skipped(case.behaviour.name, str(skipped)))
        except Exception as error:
            reason = str(error) if isinstance(error, BrokenError) else f"{type(error).__name__}: {error}"
            report.append(Failure(case.behaviour.name, case.behaviour.text, reason, error))
    if report.skipped:
        lines = "".join(f"\n  - {name}: {reason}" for name, reason in report.skipped)
        warnings.warn(ConformanceWarning(f"{len(report.skipped)} behaviours were not tried:{lines}"), stacklevel=2)
    return report


def verify(make_storage: MakeStorage, **options: Unpack[Options]) -> Report:
    """Raise `ConformanceError` when the storage breaks a behaviour, else give the report of `run`."""
    report = run(make_storage, **options)
    if report:
        raise ConformanceError(list(report))
    return report


class StorageConformance:
    """One test method for each behaviour, for pytest: subclass it and say how to make a storage.

    `open_again`, `advance` and `cut` may be set to methods of their own; see `cases`. Fixtures of the subclass run
    first.
    """

    style: Style | None = None
    tick: float = 0.2
    many: int = 2000
    server_clock: bool = False
    open_again: Callable[[], object] | None = None
    advance: Callable[[float], object] | None = None
    cut: Callable[[], object] | None = None

    def make_storage(self) -> object | Awaitable[Any]:
        """Make a new, empty storage."""
        raise NotImplementedError("say in make_storage() how a new, empty storage is made")


def _test(one: Behaviour) -> Callable[[StorageConformance], None]:
    def test(self: StorageConformance) -> None:
        Case(
            one,
            self.make_storage,
            style=self.style,
            open_again=self.open_again,
            advance=self.advance,
            tick=self.tick,
            cut=self.cut,
            many=self.many,
            server_clock=self.server_clock,
        )()

    test.__name__ = f"test_{one.name}"
    test.__qualname__ = f"StorageConformance.test_{one.name}"
    test.__doc__ = one.text
    return test


for _one in BEHAVIOURS:
    setattr(StorageConformance, f"test_{_one.name}", _test(_one))
