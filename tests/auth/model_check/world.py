"""What a run consists of: the code of `webex.auth` in several workers, a storage and a cloud that keep accounts.

Only storage, cloud and runtime are the model's. Which token was issued for which, and what was stored when, is written
down, so that the promises can be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.auth.model_check.scheduler import Point, Scheduler, Task, VirtualClock, Worker
from tests.auth.model_check.storage import ModelStorage
from webex.auth import CredentialStore, Events, TokenManager, TokenSet
from webex.auth.store import NAMESPACE, Record
from webex.config import load_config
from webex.errors import ConnectError, DeadlineError, InvalidGrantError, TransportError
from webex.storage import StorageAccess

KEY: Final = "alice"
LEASE: Final = 1.0
DEADLINE: Final = 0.5
GRID: Final = 0.25  # a sleeping worker wakes at multiples of this, never too early
_SETTINGS: Final[dict[str, Any]] = {
    "client_id": "client",
    "client_secret": "secret",
    "lease_ttl": LEASE,
    "refresh_deadline": DEADLINE,
}
_READS_EACH_TIME, _ = load_config({**_SETTINGS, "credential_max_age": 0}, None)
_CACHES, _ = load_config(_SETTINGS, None)


class _Untold:
    """A telemetry that nothing is told to."""

    def wants(self, kind: type) -> bool:
        return False


_UNTOLD: Final[Any] = _Untold()

Rotation = Literal["off", "grace", "strict"]


class ViolationError(BaseException):
    """A promise was broken; not an `Exception`, so that the code under test does not handle it."""


@dataclass(slots=True)
class Budget:
    """What may still go wrong in a run. Each of them is an incident."""

    crashes: int = 0
    pauses: int = 0
    faults: int = 0
    ticks: int = 0  # how often a sleeping worker may wake while others have steps to make; no incident
    spent: int = 0
    spent_on_faults: int = 0

    def spend(self, name: str) -> None:
        """Use one up."""
        setattr(self, name, getattr(self, name) - 1)
        self.spent += name != "ticks"
        self.spent_on_faults += name == "faults"


@dataclass(slots=True)
class Issued:
    """A refresh token of the cloud; the names are those of the emulator's `oauth/tokens.py`."""

    family: int
    used: bool = False
    parent: str | None = None


class ModelCloud:
    """A token endpoint with the emulator's three rotations. Access tokens are numbered in the order of their issue."""

    def __init__(self, world: World, rotation: Rotation) -> None:
        self.world, self.rotation = world, rotation
        self.refresh_tokens: dict[str, Issued] = {}
        self.access_tokens: dict[str, int] = {}  # alive, and of which family
        self.issued = 0
        self.refreshes = 0
        self.revoked: list[str] = []

    def sign_in(self, *, expires_in: float, age: float) -> TokenSet:
        """Issue the tokens of a new sign-in."""
        family = self.issued + 1
        return self._issue(family, None, expires_in=expires_in, age=age)

    def refresh(self, token: str) -> TokenSet:
        """Process a refresh."""
        old = self.refresh_tokens.get(token)
        if old is None:
            raise InvalidGrantError("invalid_grant", status=400)
        if self.rotation == "off":
            self.refreshes += 1
            return self._issue(old.family, None, kept=token)
        if old.used and self.rotation == "strict":
            self._end(old.family)
            raise InvalidGrantError("invalid_grant", status=400)
        self.refreshes += 1
        if old.parent is not None:
            self.refresh_tokens.pop(old.parent, None)
            old.parent = None
        old.used = True
        return self._issue(old.family, token)

    def revoke(self, token: str) -> None:
        """End a grant by its refresh token, or one access token."""
        self.revoked.append(token)
        if token in self.refresh_tokens:
            self._end(self.refresh_tokens[token].family)
        self.access_tokens.pop(token, None)

    def accepts(self, refresh_token: str | None) -> bool:
        """Return whether a refresh with this token would succeed now."""
        found = self.refresh_tokens.get(refresh_token or "")
        return found is not None and not (found.used and self.rotation == "strict")

    def key(self) -> Hashable:
        """Return what distinguishes its state from any other."""
        tokens = tuple((name, one.family, one.used, one.parent) for name, one in self.refresh_tokens.items())
        return (tokens, tuple(self.access_tokens.items()), self.issued, self.refreshes, tuple(self.revoked))

    def _issue(
        self, family: int, parent: str | None, *, kept: str | None = None, expires_in: float = 1000.0, age: float = 0.0
    ) -> TokenSet:
        self.issued += 1
        access, refresh = f"access-{self.issued}", kept or f"refresh-{self.issued}"
        self.access_tokens[access] = family
        if kept is None:
            self.refresh_tokens[refresh] = Issued(family, parent=parent)
        issued_at = self.world.clock.time() - age
        answered = None if kept else refresh  # with rotation off the answer has no refresh token
        first = self.issued == family
        return TokenSet(
            access, issued_at=issued_at, expires_at=issued_at + expires_in, refresh_token=refresh if first else answered
        )

    def _end(self, family: int) -> None:
        self.refresh_tokens = {name: one for name, one in self.refresh_tokens.items() if one.family != family}
        self.access_tokens = {name: one for name, one in self.access_tokens.items() if one != family}


class ModelEndpoint:
    """The way to the cloud and back: a request and its answer are two points, and either may come too late."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> float:
        """Return the time that tokens live by."""
        return self._world.clock.time()

    async def refresh(self, refresh_token: str, *, timeout: float | None = None) -> TokenSet:
        """Refresh once."""
        world = self._world
        give_up = world.clock.now + (timeout if timeout is not None else 60.0)

        def late() -> bool:
            return world.clock.now >= give_up

        outcome = await Point("request", lambda: world.request_outcomes(late=late()))
        if outcome == "no connection":
            raise ConnectError("no connection")
        if outcome == "too late":
            world.unanswered()
            raise DeadlineError("no time left")
        if outcome == "server error":
            raise TransportError("the cloud failed before it processed anything")
        try:
            tokens = world.cloud.refresh(refresh_token)
        except InvalidGrantError as error:
            await Point("refusal", lambda: world.answer_outcomes(late=late()))
            world.scheduler.observe("refused")
            raise error from None
        world.in_flight.append(tokens.access_token)
        outcome = await Point("answer", lambda: world.answer_outcomes(late=late()))
        if outcome == "answer lost":
            raise TransportError("the connection was cut")
        if outcome == "too late":
            world.unanswered()
            raise DeadlineError("no time left")
        world.scheduler.observe(tokens.access_token)
        return tokens

    async def revoke(self, token: str, *, hint: str, timeout: float | None = None) -> None:
        """Revoke."""
        await Point("revoke")
        self._world.cloud.revoke(token)


class ModelRuntime:
    """The event-loop runtime of one worker, over the scheduler."""

    style: Final = "async"

    def __init__(self, world: World, worker: Worker) -> None:
        self.clock: VirtualClock = world.clock
        self._world, self._worker = world, worker
        self._flights: dict[Hashable, Task] = {}

    async def sleep(self, seconds: float) -> None:
        until = -(-(self.clock.now + seconds) // GRID) * GRID
        if until > self.clock.now:
            await Point("sleeps", ready=lambda: self.clock.now >= until, wakes_at=until, local=True)

    async def single_flight(
        self, key: tuple[object, ...], work: Callable[[], Coroutine[Any, Any, Any]], *, timeout: float | None = None
    ) -> Any:
        if key[0] not in ("refresh", "save"):
            return await work()
        task = self._flight(key, work)
        give_up = None if timeout is None else self.clock.now + timeout
        await Point(
            "waits",
            ready=lambda: task.done or (give_up is not None and self.clock.now >= give_up),
            wakes_at=give_up,
            local=True,
        )
        if not task.done:
            raise DeadlineError("Work that others wait for as well did not end in time.")
        if task.error is not None:
            raise task.error.with_traceback(None)
        return task.result

    async def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._flight(key, work)

    async def background(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._flight(key, work)

    async def later(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._world.scheduler.spawn(self._worker, "later", work())

    async def call(self, function: Callable[..., Any], /, *args: Any) -> Any:
        return function(*args)

    def _flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> Task:
        task = self._flights.get(key)
        if task is None or task.done:
            task = self._flights[key] = self._world.scheduler.spawn(self._worker, "flight", work())
        return task


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a run begins with. `stale`: the token is still valid. `anew`: one more worker signs the user in again."""

    rotation: Rotation
    workers: int = 3
    calls: int = 1
    stale: bool = False
    anew: bool = False
    crashes: int = 0
    pauses: int = 0
    faults: int = 0
    ticks: int = 0

    def __str__(self) -> str:
        parts = [self.rotation, f"{self.workers} workers"]
        parts += [f"{self.calls} calls each"] if self.calls > 1 else []
        parts += ["stale"] if self.stale else []
        parts += ["a new sign-in"] if self.anew else []
        parts += [
            f"{getattr(self, name)} {name}" for name in ("crashes", "pauses", "faults", "ticks") if getattr(self, name)
        ]
        return ", ".join(parts)


@dataclass(slots=True)
class Call:
    """How one call of a worker ended."""

    worker: Worker
    token: str | None = None
    error: BaseException | None = None


class World:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.scheduler = Scheduler()
        self.clock = self.scheduler.clock
        self.budget = Budget(scenario.crashes, scenario.pauses, scenario.faults, scenario.ticks)
        self.cloud = ModelCloud(self, scenario.rotation)
        self.storage = ModelStorage(self)
        self.in_flight: list[str] = []  # access tokens whose answer is on its way, or lost
        self.calls: list[Call] = []
        self.served: set[str] = set()  # workers without an answer, for whom newer tokens were stored by then
        self.highest = 0  # the latest issue that was stored
        self.login = ""
        self.excuse: set[str] = set()
        age, life = (950.0, 1000.0) if scenario.stale else (1001.0, 1000.0)
        first = self.cloud.sign_in(expires_in=life, age=age)
        path = f"client/{KEY}"
        self.login = "login-1"
        self.storage.entries[NAMESPACE, path] = (Record(first, self.login).to_json(), self.storage.number())
        self.highest = 1
        for number in range(scenario.workers):
            self._start(self.scheduler.worker(f"W{number + 1}"))
        if scenario.anew:
            worker = self.scheduler.worker("S")
            self.scheduler.spawn(worker, "signs in", self._sign_in(worker))

    def _start(self, worker: Worker) -> None:
        manager, _ = self._process(worker)

        async def call() -> None:
            made = Call(worker)
            self.calls.append(made)
            try:
                made.token = await manager.access_token(KEY)
            except Exception as error:
                made.error = error
            self._ended(made)

        tasks = [self.scheduler.spawn(worker, f"call {n + 1}", call()) for n in range(self.scenario.calls)]

        async def close() -> None:
            await Point("closes", ready=lambda: all(task.done for task in worker.tasks if task is not own), local=True)
            await manager.aclose()

        assert tasks
        own = self.scheduler.spawn(worker, "close", close())

    def _process(self, worker: Worker) -> tuple[TokenManager, CredentialStore]:
        runtime: Any = ModelRuntime(self, worker)
        endpoint: Any = ModelEndpoint(self)
        config = _CACHES if self.scenario.stale else _READS_EACH_TIME
        store = CredentialStore(StorageAccess(self.storage, runtime), config)
        return TokenManager(runtime, endpoint, store, config, Events(runtime), _UNTOLD), store

    async def _sign_in(self, worker: Worker) -> None:
        _, store = self._process(worker)
        await Point("request")
        tokens = self.cloud.sign_in(expires_in=1000.0, age=0.0)
        await store.load(KEY)
        await store._access.put(NAMESPACE, store.path(KEY), Record(tokens, "login-2").to_json())

    # What may happen

    def storage_outcomes(self, *, writes: bool) -> tuple[str, ...]:
        """Return what may happen to a call of the storage."""
        if self.budget.faults <= 0:
            return ("",)
        return ("", "fails", "answer lost") if writes else ("", "fails")

    def request_outcomes(self, *, late: bool) -> tuple[str, ...]:
        """Return what may happen to a request; one that is late is given up, or reaches the cloud all the same."""
        if late:
            return ("too late", "late")
        return ("", "no connection", "server error") if self.budget.faults > 0 else ("",)

    def answer_outcomes(self, *, late: bool) -> tuple[str, ...]:
        """Return what may happen to an answer; one that is late may lie in the socket."""
        if late:
            return ("", "too late")
        return ("", "answer lost") if self.budget.faults > 0 else ("",)

    # What is promised

    def written(self, before: Any, after: Any) -> None:
        """Check a write of the user's record."""
        number = _number(after["tokens"]["access_token"])
        old = before["tokens"]["access_token"] if before else None
        if after["login_id"] != self.login:
            if after["login_id"] < self.login:
                raise ViolationError(f"tokens of {after['login_id']} were written over those of {self.login}")
            self.login = after["login_id"]
        elif old is not None and number < _number(old):
            raise ViolationError(f"an older token over a newer: access-{number} over {old}")
        elif number < self.highest:
            raise ViolationError(f"access-{number} was stored after access-{self.highest}")
        self.highest = max(self.highest, number)
        if after["tokens"]["access_token"] in self.in_flight:
            self.in_flight.remove(after["tokens"]["access_token"])

    def unanswered(self) -> None:
        """Note that the stepping worker gets no answer, and what is stored by then."""
        assert self.scheduler.current is not None
        stored = self.storage.entries.get((NAMESPACE, f"client/{KEY}"))
        if stored is not None and _number(stored[0]["tokens"]["access_token"]) > 1:
            self.served.add(self.scheduler.current.name)

    def _ended(self, call: Call) -> None:
        self.scheduler.observe((call.token, type(call.error).__name__))
        if (
            isinstance(call.error, TransportError)
            and call.worker.name in self.served
            and not self.budget.spent_on_faults
        ):
            raise ViolationError(f"{call.worker.name} failed although another worker had saved newer tokens")

    def check_end(self) -> None:
        """Check what holds when every worker has ended."""
        from tests.auth.model_check.promises import check_end

        check_end(self)

    def key(self) -> Hashable:
        """Return what distinguishes the state of the whole from any other; workers are interchangeable."""
        workers = tuple(
            sorted((worker.key(), worker.moved and self.budget.crashes > 0) for worker in self.scheduler.workers)
        )
        budget = self.budget
        return hash(
            (
                workers,
                self.storage.key(),
                self.cloud.key(),
                self.clock.now,
                (budget.crashes, budget.pauses, budget.faults, budget.ticks),
                tuple(sorted(self.excuse)),
                len(self.served),
                tuple(self.in_flight),
                self.highest,
            )
        )


def _number(access_token: str) -> int:
    return int(access_token.partition("-")[2])
