"""Equal reads of a person that are made at the same time are one request, for one token only."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.conftest import Asked, Said, Script
from webex import AsyncIntegration, AsyncWebex, Webex
from webex.errors import NotFoundError


class Gate:
    """Holds the first answer until it is opened."""

    def __init__(self, script: Script, status: int = 200) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()
        self.status = status
        script.answer = self.answer

    def answer(self, asked: Asked) -> Said:
        self.reached.set()
        assert self.opened.wait(60)
        token = asked.headers["authorization"].removeprefix("Bearer ")
        return Said(self.status, {"id": asked.path.rpartition("/")[2], "displayName": token})


async def _all(gate: Gate, *calls: Any) -> list[Any]:
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.to_thread(gate.reached.wait, 20)
    for _ in range(20):
        await asyncio.sleep(0)
    gate.opened.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_equal_calls_share_one_request_and_no_model(script: Script) -> None:
    gate = Gate(script)

    async def main() -> list[Any]:
        async with AsyncWebex("a-token", emulator_url=script.url) as client:
            return await _all(gate, *[client.people.me() for _ in range(10)])

    people = asyncio.run(main())

    assert len(script.asked) == 1
    people[0].display_name = "changed"
    assert {person.display_name for person in people[1:]} == {"a-token"}


def test_calls_of_different_users_are_not_shared(script: Script) -> None:
    gate = Gate(script)

    async def main() -> list[Any]:
        app = AsyncIntegration(client_id="C1", emulator_url=script.url)
        tokens = ["one", "two", "three"]
        views = [app.client_for(token) for token in tokens for _ in range(3)]
        return await _all(gate, *[view.people.me() for view in views], *[views[0].people.get(i) for i in "aabb"])

    people = asyncio.run(main())

    assert [person.display_name for person in people[:9]] == [
        name for name in ("one", "two", "three") for _ in range(3)
    ]
    assert [person.id for person in people[9:]] == ["a", "a", "b", "b"]
    asked = sorted((asked.headers["authorization"], asked.path) for asked in script.asked)
    assert len(asked) == len(set(asked)) == 5


def test_later_call_sends_its_own_request(script: Script, client: Webex) -> None:
    gate = Gate(script)
    gate.opened.set()
    client.people.me()
    client.people.me()
    assert len(script.asked) == 2


def test_error_reaches_every_caller(script: Script) -> None:
    gate = Gate(script, status=404)

    async def main() -> list[Any]:
        async with AsyncWebex("a-token", emulator_url=script.url) as client:
            return await _all(gate, *[client.people.get("p") for _ in range(5)])

    assert [type(error) for error in asyncio.run(main())] == [NotFoundError] * 5
    assert len(script.asked) == 1


def test_cancelling_one_caller_does_not_affect_the_others(script: Script) -> None:
    gate = Gate(script)

    async def main() -> tuple[str | None, str | None]:
        async with AsyncWebex("a-token", emulator_url=script.url) as client:
            first, *others = [asyncio.ensure_future(client.people.me()) for _ in range(3)]
            await asyncio.to_thread(gate.reached.wait, 20)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            gate.opened.set()
            one, two = await asyncio.gather(*others)
            return one.display_name, two.display_name

    assert asyncio.run(main()) == ("a-token", "a-token")
    assert len(script.asked) == 2  # one of the others asked anew, for both


def test_call_is_cancelled_when_all_callers_cancel(script: Script) -> None:
    gate = Gate(script)

    async def main() -> None:
        async with AsyncWebex("a-token", emulator_url=script.url) as client:
            tasks = [asyncio.ensure_future(client.people.me()) for _ in range(2)]
            await asyncio.to_thread(gate.reached.wait, 20)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # Closing waits for what is under way: it would wait for the answer that nobody lets out.

    asyncio.run(asyncio.wait_for(main(), 20))
    gate.opened.set()


def test_threads_share_one_request(script: Script, client: Webex) -> None:
    gate = Gate(script)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(client.people.me) for _ in range(8)]
        assert gate.reached.wait(60)
        while not all(future.running() for future in futures):
            pass
        gate.opened.set()
        people = [future.result(20) for future in futures]
    assert len(script.asked) < 8
    assert len({id(person) for person in people}) == 8


def test_answer_of_a_shared_call_can_be_seen(script: Script, client: Webex) -> None:
    Gate(script).opened.set()
    raw = client.with_raw_response(client.people.me)
    assert (raw.status, raw.model.display_name) == (200, "a-token")
