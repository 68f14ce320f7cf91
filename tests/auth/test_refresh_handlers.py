"""Handlers of the app, and interruptions of the thread that refreshes, cost other callers nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.auth.scripted import EXPIRED, KEY, STYLES, Process, ScriptedEndpoint, run, tokens
from webex import AsyncIntegration, AsyncWebex, Integration, ReauthorizationRequiredError
from webex.errors import DeadlineError, InvalidGrantError
from webex.runtime import BlockingRuntime, EventLoopRuntime, drive
from webex.storage import MemoryStorage, SQLiteStorage

if TYPE_CHECKING:
    from webex.emulator import Cloud

REFUSED = InvalidGrantError("invalid_grant", status=400)


def test_handler_of_a_refresh_may_call_the_api(cloud: Cloud, database: str, expired: str) -> None:
    names: list[Any] = []
    with Integration(storage=SQLiteStorage(database), credential_max_age=0) as integration:

        @integration.events.token_refreshed
        def refreshed(event: Any) -> None:
            names.append(integration.user(event.user_key).people.me().display_name)

        assert integration.user(expired).people.me().display_name == "Alice Example"
    assert names == ["Alice Example"]
    assert cloud.requests.refreshes == 1


def test_asynchronous_handler_of_a_refresh_may_call_the_api(cloud: Cloud, database: str, expired: str) -> None:
    async def main() -> None:
        done = asyncio.Event()
        names: list[Any] = []
        async with AsyncIntegration(storage=SQLiteStorage(database), credential_max_age=0) as integration:

            @integration.events.token_refreshed
            async def refreshed(event: Any) -> None:
                names.append((await integration.user(event.user_key).people.me()).display_name)
                done.set()

            await integration.user(expired).people.me()
            await asyncio.wait_for(done.wait(), 30)
        assert names == ["Alice Example"]

    asyncio.run(main())


@pytest.mark.parametrize("style", STYLES)
def test_handler_runs_after_the_refresh_and_its_lease_end(style: str) -> None:
    async def main() -> None:
        process = Process(style, ScriptedEndpoint(tokens(2)), MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        seen: list[Any] = []

        def refreshed(event: Any) -> None:
            space = process.storage._namespaces["credentials"]
            seen.append((event.kind, dict(space.leases)))

        process.events.token_refreshed(refreshed)
        assert await process.tokens.access_token(KEY) == "access-2"
        await process.runtime.aclose()
        assert seen == [("token_refreshed", {})]

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("answer", [tokens(2), REFUSED], ids=["refreshed", "refused"])
def test_handler_that_raises_changes_nothing(style: str, answer: Any) -> None:
    async def main() -> None:
        process = Process(style, ScriptedEndpoint(answer), MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        called: list[str] = []

        def fail(event: Any) -> None:
            called.append(event.kind)
            raise ValueError("a fault of the app")

        for _ in range(2):
            process.events.token_refreshed(fail)
            process.events.reauthorization_required(fail)
        if answer is REFUSED:
            with pytest.raises(ReauthorizationRequiredError):
                await process.tokens.access_token(KEY)
        else:
            assert await process.tokens.access_token(KEY) == "access-2"
        await process.runtime.aclose()
        assert len(called) == 2

    run(style, main)


def test_handler_that_hangs_delays_neither_callers_nor_closing() -> None:
    async def main() -> None:
        process = Process("async", ScriptedEndpoint(tokens(2)), MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        ended: list[str] = []

        async def hang(event: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        async def other(event: Any) -> None:
            ended.append("other")

        process.events.token_refreshed(hang)
        process.events.token_refreshed(other)
        assert await asyncio.gather(*[process.tokens.access_token(KEY) for _ in range(5)]) == ["access-2"] * 5
        await process.runtime.aclose()
        assert sorted(ended) == ["cancelled", "other"]

    asyncio.run(asyncio.wait_for(main(), 60))


def test_handler_that_ignores_cancellation_does_not_hang_closing() -> None:
    async def main() -> None:
        process = Process("async", ScriptedEndpoint(tokens(2)), MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        let_go = asyncio.Event()

        async def stubborn(event: Any) -> None:
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

        process.events.token_refreshed(stubborn)
        await process.tokens.access_token(KEY)
        await process.runtime.aclose()
        let_go.set()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_handler_may_close_the_client() -> None:
    async def main() -> None:
        process = Process("async", ScriptedEndpoint(tokens(2)), MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        closed = asyncio.Event()

        async def close(event: Any) -> None:
            await process.runtime.aclose()
            closed.set()

        process.events.token_refreshed(close)
        await process.tokens.access_token(KEY)
        await closed.wait()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_handler_that_hangs_in_one_thread_delays_no_other_thread() -> None:
    process = Process("blocking", ScriptedEndpoint(tokens(2)), MemoryStorage())
    let_go, hangs = threading.Event(), threading.Event()

    def hang(event: Any) -> None:
        hangs.set()
        let_go.wait(60)

    async def prepare() -> None:
        await process.store.save_login(KEY, EXPIRED)

    drive(prepare())
    process.events.token_refreshed(hang)
    first = threading.Thread(target=lambda: drive(process.tokens.access_token(KEY)))
    first.start()
    assert hangs.wait(60)
    try:
        assert drive(process.tokens.access_token(KEY)) == "access-2"
        assert drive(process.tokens.refresh(KEY)).access_token == "access-2"
        drive(process.runtime.aclose())
    finally:
        let_go.set()
        first.join()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupting_the_refreshing_thread_affects_no_other(interruption: type[BaseException]) -> None:
    begun, waiting = threading.Event(), threading.Event()

    def interrupt() -> Any:
        begun.set()
        assert waiting.wait(60)
        return interruption()

    endpoint = ScriptedEndpoint(interrupt, tokens(2))
    process = Process("blocking", endpoint, MemoryStorage())
    drive(process.store.save_login(KEY, EXPIRED))
    outcomes: dict[str, Any] = {}

    def call(name: str) -> None:
        try:
            outcomes[name] = drive(process.tokens.access_token(KEY))
        except BaseException as error:
            outcomes[name] = type(error)

    refreshing = threading.Thread(target=call, args=("refreshing",))
    refreshing.start()
    assert begun.wait(60)
    others = [threading.Thread(target=call, args=(str(number),)) for number in range(3)]
    for thread in others:
        thread.start()
    waiting.set()
    for thread in [refreshing, *others]:
        thread.join(60)
    assert outcomes.pop("refreshing") is interruption
    assert outcomes == {"0": "access-2", "1": "access-2", "2": "access-2"}
    assert len(endpoint.sent) == 2


def test_cancelling_the_refreshing_task_affects_no_caller() -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def hang() -> Any:
            begun.set()
            await asyncio.Event().wait()

        process = Process("async", ScriptedEndpoint(hang, tokens(2)), MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        callers = [asyncio.create_task(process.tokens.access_token(KEY)) for _ in range(3)]
        await begun.wait()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("webex:"):
                task.cancel()
        assert await asyncio.gather(*callers) == ["access-2"] * 3

    asyncio.run(asyncio.wait_for(main(), 60))


def test_repeatedly_cancelled_work_ends() -> None:
    async def main() -> None:
        async def cancelled() -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await EventLoopRuntime().single_flight("key", cancelled)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_deadline_of_a_waiting_call_reaches_the_refresh() -> None:
    async def main() -> None:
        let_go = asyncio.Event()

        async def slow() -> Any:
            await let_go.wait()
            return tokens(2)

        process = Process("async", ScriptedEndpoint(slow), MemoryStorage(), refresh_deadline=30, lease_ttl=40)
        await process.store.save_login(KEY, EXPIRED)
        now = process.runtime.clock.monotonic()
        patient = asyncio.create_task(process.tokens.access_token(KEY, deadline=now + 60))
        with pytest.raises(DeadlineError):
            await process.tokens.access_token(KEY, deadline=now + 0.1)
        with pytest.raises(DeadlineError):
            await process.tokens.access_token(KEY, deadline=now - 1)
        let_go.set()
        assert await patient == "access-2"

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("style", STYLES)
def test_deadline_of_a_call_reaches_the_wait_for_another_process(style: str) -> None:
    async def main() -> None:
        storage = MemoryStorage()
        other = Process(style, ScriptedEndpoint(), storage, lease_ttl=600)
        process = Process(style, ScriptedEndpoint(tokens(2)), storage, lease_ttl=600)
        await process.store.save_login(KEY, EXPIRED)
        lease = await other.store.lease(KEY, 600)
        now = process.runtime.clock.monotonic()
        with pytest.raises(DeadlineError):
            await process.tokens.access_token(KEY, deadline=now + 0.1)
        assert lease is not None
        await lease.release()
        assert await process.tokens.access_token(KEY, deadline=now + 60) == "access-2"

    run(style, main)


def test_deadline_of_one_call_does_not_end_calls_of_other_threads() -> None:
    storage = MemoryStorage()
    process = Process("blocking", ScriptedEndpoint(tokens(2)), storage, lease_ttl=600)
    drive(process.store.save_login(KEY, EXPIRED))
    lease = drive(process.store.lease(KEY, 600))
    assert lease is not None
    now = process.runtime.clock.monotonic()
    outcomes: list[Any] = []

    def call(deadline: float) -> None:
        try:
            outcomes.append(drive(process.tokens.access_token(KEY, deadline=deadline)))
        except DeadlineError as error:
            outcomes.append(type(error))
            drive(lease.release())

    short = threading.Thread(target=call, args=(now + 0.4,))
    short.start()
    long = threading.Thread(target=call, args=(now + 60,))
    long.start()
    short.join(90)
    long.join(90)
    assert [outcome if isinstance(outcome, str) else "late" for outcome in outcomes] == ["late", "access-2"]


def test_call_ends_within_its_timeout_while_a_refresh_hangs(cloud: Cloud, database: str, expired: str) -> None:
    cloud.faults.add("*", grant_type="refresh_token", latency=20.0, count=1)
    settings: Any = {"timeout": 0.5, "refresh_deadline": 600, "lease_ttl": 700, "transport": "urllib3"}
    with (
        Integration(storage=SQLiteStorage(database), **settings) as integration,
        pytest.raises(DeadlineError),
    ):
        integration.user(expired).people.me()


def test_single_flight_has_a_timeout_for_waiting_threads() -> None:
    runtime = BlockingRuntime()
    begun, let_go = threading.Event(), threading.Event()

    async def work() -> int:
        begun.set()
        let_go.wait(60)
        return 1

    first = threading.Thread(target=lambda: drive(runtime.single_flight("key", work)))
    first.start()
    assert begun.wait(60)
    with pytest.raises(DeadlineError):
        drive(runtime.single_flight("key", work, timeout=0.01))
    let_go.set()
    first.join()


def test_callback_that_hangs_does_not_hang_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("webex.runtime.event_loop._FLIGHT_GRACE", 0.05)
        hangs = asyncio.Event()

        async def fetch() -> str:
            hangs.set()
            await asyncio.Event().wait()
            return "never"

        client = AsyncWebex(refresh_callback=fetch, timeout=0.5)
        call = asyncio.create_task(client.people.me())
        await asyncio.wait([call, asyncio.create_task(hangs.wait())], return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(DeadlineError):
            await call
        await client.aclose()

    asyncio.run(asyncio.wait_for(main(), 60))
