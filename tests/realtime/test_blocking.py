"""Listening from blocking code: time-outs, stopping, closing, forks, threads."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.forks import needs_fork
from tests.support.threads import running_threads
from webex import AsyncWebex, Webex
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, RealtimeError
from webex.storage import SQLiteStorage

T = TypeVar("T")
PATIENCE = 20  # real seconds before a test gives up


def run(work: Callable[[], T]) -> Future[T]:
    """Run a function in a thread that keeps nobody from ending; gives its result to come."""
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return future


def until(condition: Callable[[], Any]) -> None:
    """Wait until something holds that happens in another thread."""
    ended = threading.Event()
    for _ in range(PATIENCE * 200):
        if condition():
            return
        ended.wait(0.005)
    raise NotInTime


@contextmanager
def people(cloud: Cloud, storage: SQLiteStorage | None = None) -> Iterator[tuple[Webex, Webex, str]]:
    """Alice, Bob with this storage, and a room of theirs."""
    with ExitStack() as stack:
        alice = stack.enter_context(Webex(cloud.token_for("alice"), emulator_url=cloud.url))
        bob = stack.enter_context(Webex(cloud.token_for("bob"), emulator_url=cloud.url, storage=storage))
        room = str(alice.rooms.create(title="A room").id)
        alice.memberships.create(room_id=room, person_email="bob@example.com")
        yield alice, bob, room


def waits(events: Any) -> bool:
    """Whether somebody waits for the next event."""
    return events._inner is not None and events._inner._waiter is not None


@pytest.mark.parametrize("durable", [False, True])
def test_no_event_is_lost_or_repeated_when_timeouts_race(webex_cloud: Cloud, tmp_path: Path, durable: bool) -> None:
    numbers = list(range(150))
    storage = SQLiteStorage(tmp_path / "s.db") if durable else None
    with people(webex_cloud, storage) as (alice, bob, room):
        with bob.messages.listen() as events:
            posting = run(lambda: [alice.messages.create(room_id=room, text=str(number)) for number in numbers])
            heard: list[int] = []
            timed_out, latest = 0, time.monotonic()
            while len(heard) < len(numbers) and time.monotonic() < latest + PATIENCE:
                try:
                    heard.append(int(events.get(timeout=0.0005).data.text))
                    latest = time.monotonic()
                except TimeoutError:
                    timed_out += 1
            posting.result(PATIENCE)
            with pytest.raises(TimeoutError):
                events.get(timeout=0.05)
    assert heard == numbers
    assert timed_out


def test_an_event_received_during_an_interrupted_wait_is_next(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with people(webex_cloud) as (alice, bob, room), bob.messages.listen() as events:
        for text in ("one", "two"):
            alice.messages.create(room_id=room, text=text)

        whole = events._loop.run

        def broken_off(work: Any) -> None:
            whole(work)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(events._loop, "run", broken_off)
            with pytest.raises(KeyboardInterrupt):
                events.get()
        assert [events.get(timeout=PATIENCE).data.text for _ in range(2)] == ["one", "two"]


def test_stopping_within_the_loop_ends_it(webex_cloud: Cloud) -> None:
    with people(webex_cloud) as (alice, bob, room):
        events = bob.messages.listen().start()
        alice.messages.create(room_id=room, text="one")
        heard: list[str] = []

        def loop() -> None:
            for event in events:
                heard.append(event.data.text)
                events.stop_listening()

        run(loop).result(PATIENCE)
        assert heard == ["one"]
        assert webex_cloud.mercury.connections("bob") == 0
        assert list(events) == []
        with pytest.raises(ConfigurationError):
            events.get(timeout=1)


def test_stopping_from_another_thread_ends_the_loop(webex_cloud: Cloud) -> None:
    with people(webex_cloud) as (_, bob, _room):
        events = bob.messages.listen().start()
        looping = run(lambda: list(events))
        until(lambda: waits(events))
        events.stop_listening()
        assert looping.result(PATIENCE) == []


def test_closing_the_client_fails_a_wait_in_another_thread(webex_cloud: Cloud) -> None:
    with people(webex_cloud) as (_, bob, _room):
        events = bob.messages.listen().start()
        waiting = run(events.get)
        until(lambda: waits(events))
        bob.close()
        with pytest.raises(RealtimeError):
            waiting.result(PATIENCE)


def test_a_timeout_holds_during_an_outage(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add("/wdm/*", status=503)
    with people(webex_cloud) as (alice, bob, room):
        events = bob.messages.listen(first_pause=0.05)
        with pytest.raises(TimeoutError, match="Nothing came"):
            run(lambda: events.get(timeout=0.2)).result(PATIENCE)
        webex_cloud.faults.clear()
        with pytest.raises(TimeoutError):
            events.get(timeout=0)
        until(lambda: _started(events))
        alice.messages.create(room_id=room, text="one")
        assert events.get(timeout=PATIENCE).data.text == "one"


def _started(events: Any) -> bool:
    events.start()
    return True


def test_a_handler_may_stop_listening(webex_cloud: Cloud) -> None:
    with people(webex_cloud) as (alice, bob, room):
        heard: list[str] = []
        events = bob.messages.listen()

        def handle(event: Any) -> None:
            heard.append(event.data.text)
            events.stop_listening()

        events.on("created", handle)
        alice.messages.create(room_id=room, text="one")
        until(lambda: heard and not webex_cloud.mercury.connections("bob"))

        def listen_again() -> str:
            with bob.messages.listen() as others:
                return str(others.get(timeout=PATIENCE).data.text)

        listening = run(listen_again)
        alice.messages.create(room_id=room, text="two")
        assert listening.result(PATIENCE) == "two"
        assert heard == ["one"]


def test_a_handler_waiting_on_its_own_thread_is_refused(webex_cloud: Cloud) -> None:
    with people(webex_cloud) as (alice, bob, room):
        told: list[str] = []
        events = bob.messages.listen()

        def handle(event: Any) -> None:
            try:
                events.get(timeout=1)
            except ConfigurationError as error:
                told.append(str(error))

        events.on("created", handle)
        alice.messages.create(room_id=room, text="one")
        until(lambda: told)
        events.stop_listening()


def told_by(pipe: int) -> str:
    """The next word of a child process."""
    word = b""
    while not word.endswith(b";"):
        assert select.select([pipe], [], [], PATIENCE)[0], "nothing came"
        word += os.read(pipe, 1)
    return word[:-1].decode()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_subscription(webex_cloud: Cloud) -> None:
    with people(webex_cloud) as (alice, bob, room):
        with bob.messages.listen() as events:
            alice.messages.create(room_id=room, text="one")
            assert events.get(timeout=PATIENCE).data.text == "one"
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    with bob.messages.listen(device_name="child") as own:
                        os.write(writing, b"listens;")
                        os.write(writing, f"{own.get(timeout=PATIENCE).data.text};".encode())
                    bob.close()
                    os.write(writing, b"closed;")
                finally:
                    os._exit(0)
            try:
                assert told_by(reading) == "listens"
                alice.messages.create(room_id=room, text="two")
                assert [told_by(reading), told_by(reading)] == ["two", "closed"]
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os.close(reading)
                os.close(writing)
            assert events.get(timeout=PATIENCE).data.text == "two"  # the parent's goes on


def test_concurrent_first_listens_of_threads_share_one_socket(webex_cloud: Cloud) -> None:
    before = running_threads("webex-listen")
    with people(webex_cloud) as (alice, bob, room):
        together = threading.Barrier(4)

        def listen() -> str:
            together.wait(PATIENCE)
            with bob.messages.listen() as events:
                together.wait(PATIENCE)
                text = str(events.get(timeout=PATIENCE).data.text)
                together.wait(PATIENCE)
                return text

        listening = [run(listen) for _ in range(3)]
        together.wait(PATIENCE)
        together.wait(PATIENCE)
        assert webex_cloud.mercury.opened_count == 1
        alice.messages.create(room_id=room, text="one")
        together.wait(PATIENCE)
        assert [each.result(PATIENCE) for each in listening] == ["one"] * 3
        assert len(running_threads("webex-listen") - before) == 1


@pytest.mark.parametrize("end", ["pass", "raise SystemExit", "raise KeyboardInterrupt"])
def test_program_that_closes_nothing_ends_quietly(webex_cloud: Cloud, end: str) -> None:
    code = (
        "from webex import Webex\n"
        f"client = Webex({webex_cloud.token_for('alice')!r}, emulator_url={webex_cloud.url!r})\n"
        f"with client.listen() as events:\n    client.people.me()\n    {end}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert ended.stderr.splitlines()[-1:] == (["KeyboardInterrupt"] if "Keyboard" in end else [])


# In an event loop


def test_closing_the_client_ends_every_wait_with_an_error(webex_cloud: Cloud) -> None:
    async def main() -> None:
        bob = AsyncWebex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url)
        async with bob.messages.listen() as events:
            hearing = asyncio.ensure_future(anext(events))
            while events._waiter is None:
                await asyncio.sleep(0.005)
            fault = webex_cloud.faults.add("/wdm/*", method="POST", status=503)
            other = bob.messages.listen(device_name="another", first_pause=0.05)
            starting = asyncio.ensure_future(other.start())
            while not fault.hits:
                await asyncio.sleep(0.005)
            await bob.aclose()
            for waiting in (hearing, starting):
                with pytest.raises(RealtimeError):
                    await asyncio.wait_for(waiting, PATIENCE)

    asyncio.run(main())
