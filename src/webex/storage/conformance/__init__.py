"""The suite that any storage adapter must pass, ours or yours.

In a script:

```python
from webex.storage import conformance

conformance.verify(MyStorage)                       # raises ConformanceError with every behaviour that is broken
failures = conformance.run(MyStorage)               # or a list of them, empty when all is well
```

In a test file, one test for each behaviour:

```python
class TestMyStorage(conformance.StorageConformance):
    def make_storage(self):
        return MyStorage()
```

What an adapter does not claim in its `capabilities` is not asked for. This module needs no test framework.
"""

from __future__ import annotations

import unittest
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from webex.runtime import drive
from webex.storage.conformance import full, leases, plain, shared  # noqa: F401  # they fill the list
from webex.storage.conformance.behaviours import BEHAVIOURS, Behaviour
from webex.storage.conformance.bench import Bench, BrokenError
from webex.storage.faces import settle

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "BrokenError",
    "Case",
    "ConformanceError",
    "Failure",
    "StorageConformance",
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


@dataclass(frozen=True, slots=True)
class Case:
    """One behaviour, to be tried on one kind of storage: call it. `unittest.SkipTest` when it is not asked for."""

    behaviour: Behaviour
    make_storage: MakeStorage
    style: Style | None
    open_again: Callable[[], object] | None
    advance: Callable[[float], object] | None
    tick: float

    def __call__(self) -> None:
        style = self.style
        adapter = None
        if style is None:
            adapter = self.make_storage()
            style = "async" if hasattr(adapter, "__await__") or self._bench(adapter).asynchronous else "blocking"
        work = self._tried(adapter)
        if style == "blocking":
            drive(work)
        else:
            import asyncio

            asyncio.run(work)

    async def _tried(self, adapter: object | None) -> None:
        adapter = await settle(self.make_storage() if adapter is None else adapter)
        try:
            bench = self._bench(adapter)
            missing = [name for name in self.behaviour.needs if not getattr(bench.capabilities, name)]
            if missing:
                raise unittest.SkipTest(f"the storage does not claim {', '.join(missing)}")
            if self.behaviour.again and self.open_again is None:
                raise unittest.SkipTest("open_again was not given")
            await self.behaviour.trial(bench)
        finally:
            close = getattr(adapter, "close", None)
            if callable(close):
                await settle(close())

    def _bench(self, adapter: object) -> Bench:
        return Bench(adapter, open_again=self.open_again, advance=self.advance, tick=self.tick)

    def __str__(self) -> str:
        return self.behaviour.name


def cases(
    make_storage: MakeStorage,
    *,
    style: Style | None = None,
    open_again: Callable[[], object] | None = None,
    advance: Callable[[float], object] | None = None,
    tick: float = 0.2,
) -> list[Case]:
    """The suite as a list of calls: `@pytest.mark.parametrize("case", cases(make), ids=str)`, then `case()`.

    - `make_storage` makes a new, empty storage (anything that `as_storage` takes) for each behaviour; it may be
      asynchronous, and what it makes is closed if it has `close()`.
    - `style` is found by looking at the adapter; give it for one that can only be made inside an event loop.
    - `open_again` makes another adapter for the data of the latest one, as after a restart. The capabilities `durable`
      and `shared` are tried only with it. Other processes call it too, so it can be pickled, such as
      `functools.partial(SQLiteStorage, path)`.
    - `advance(seconds)` moves the storage's clock; without it the suite waits. `tick` is the shortest expiry in
      seconds that the storage keeps exactly.
    """
    return [Case(one, make_storage, style, open_again, advance, tick) for one in BEHAVIOURS]


def run(
    make_storage: MakeStorage,
    *,
    style: Style | None = None,
    open_again: Callable[[], object] | None = None,
    advance: Callable[[float], object] | None = None,
    tick: float = 0.2,
) -> list[Failure]:
    """Every behaviour that the storage breaks; an empty list when it conforms. The arguments are those of `cases`."""
    failures: list[Failure] = []
    for case in cases(make_storage, style=style, open_again=open_again, advance=advance, tick=tick):
        try:
            case()
        except unittest.SkipTest:
            continue
        except Exception as error:
            reason = str(error) if isinstance(error, BrokenError) else f"{type(error).__name__}: {error}"
            failures.append(Failure(case.behaviour.name, case.behaviour.text, reason, error))
    return failures


def verify(
    make_storage: MakeStorage,
    *,
    style: Style | None = None,
    open_again: Callable[[], object] | None = None,
    advance: Callable[[float], object] | None = None,
    tick: float = 0.2,
) -> None:
    """Raise `ConformanceError` when the storage breaks a behaviour. The arguments are those of `cases`."""
    failures = run(make_storage, style=style, open_again=open_again, advance=advance, tick=tick)
    if failures:
        raise ConformanceError(failures)


class StorageConformance:
    """One test method for each behaviour, for pytest: subclass it and say how to make a storage.

    `open_again` and `advance` may be set to methods of their own; see `cases`. Fixtures of the subclass run first.
    """

    style: Style | None = None
    tick: float = 0.2
    open_again: Callable[[], object] | None = None
    advance: Callable[[float], object] | None = None

    def make_storage(self) -> object | Awaitable[Any]:
        """A new, empty storage."""
        raise NotImplementedError("say in make_storage() how a new, empty storage is made")


def _test(one: Behaviour) -> Callable[[StorageConformance], None]:
    def test(self: StorageConformance) -> None:
        Case(one, self.make_storage, self.style, self.open_again, self.advance, self.tick)()

    test.__name__ = f"test_{one.name}"
    test.__qualname__ = f"StorageConformance.test_{one.name}"
    test.__doc__ = one.text
    return test


for _one in BEHAVIOURS:
    setattr(StorageConformance, f"test_{_one.name}", _test(_one))
