"""One emulated cloud: its state, clock and settings, and what a test may do to it.

Services reach everything through the `Cloud` of their `Call`. It may be used from any thread: whoever touches the state
outside a service's handler holds `cloud.lock`.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from webex.emulator import accounts
from webex.emulator.clock import Clock, iso
from webex.emulator.oauth.tokens import Tokens
from webex.emulator.request_log import RequestLog
from webex.emulator.settings import Settings
from webex.emulator.state import State
from webex.emulator.wire import Change

if TYPE_CHECKING:
    from webex.emulator.app import App


class Deliverer(Protocol):
    """Brings changes to webhooks; see `webex.emulator.delivery`."""

    def publish(self, change: Change) -> None: ...

    def settle(self, timeout: float) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Cloud:
    """The emulated cloud. `seed` makes every id and token that it makes up repeatable; without one they are random."""

    def __init__(self, *, settings: Settings | None = None, seed: int | None = None) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.settings = settings or Settings()
        self.requests = RequestLog()
        self.url = ""  # where it is served, without a trailing slash
        self.hosts: set[str] = set()  # further Host names that it answers to
        self._seed = seed
        self._subscribers: list[Callable[[Change], None]] = []
        self._replaced: list[Callable[[], None]] = []
        self._deliverer: Deliverer | None = None
        self._app: App | None = None
        self.state = State(seed=self._new_seed())
        self.random = random.Random(self.state.seed)  # noqa: S311 - repeatable on purpose
        accounts.populate(self.state, self.now())
        self.tokens = Tokens(self)
        self._pristine = self.snapshot()

    # What services use

    def now(self) -> float:
        """Seconds since the epoch by the cloud's clock."""
        return self.clock.time()

    def iso(self, moment: float) -> str:
        """A moment as the cloud writes it: `2026-01-31T12:00:00.000Z`."""
        return iso(moment)

    def new_uuid(self) -> str:
        """A UUID that was not given before."""
        text = self._derive("uuid")
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:32]}"

    def new_secret(self) -> str:
        """64 hexadecimal digits that were not given before: for tokens and codes."""
        return self._derive("secret")

    def next_sequence(self) -> int:
        """The next number of the cloud-wide order, for things of equal time."""
        with self.lock:
            number = self.state.next_sequence
            self.state.next_sequence += 1
            return number

    def publish(self, change: Change) -> None:
        """Tell webhooks and subscribers of a change. Never waits."""
        for subscriber in tuple(self._subscribers):
            subscriber(change)
        self.delivery.publish(change)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` for every change from now on; gives a function that ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def on_replaced(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `state` was replaced (reset, restore): for whoever keeps an index beside it."""
        self._replaced.append(callback)

    @property
    def delivery(self) -> Deliverer:
        """What brings webhooks to their targets."""
        with self.lock:
            if self._deliverer is None:
                from webex.emulator.delivery import Delivery

                self._deliverer = Delivery(self)
            return self._deliverer

    @property
    def app(self) -> App:
        """The cloud as an ASGI application."""
        with self.lock:
            if self._app is None:
                from webex.emulator.app import App

                self._app = App(self)
            return self._app

    # What a test does to it

    def snapshot(self) -> bytes:
        """Everything the cloud knows, for `restore`."""
        with self.lock:
            return msgspec.msgpack.encode(self.state)

    def restore(self, snapshot: bytes) -> None:
        """Go back to a snapshot, of this cloud or another."""
        state = msgspec.msgpack.decode(snapshot, type=State)
        with self.lock:
            self.state = state
            for callback in self._replaced:
                callback()

    def reset(self) -> None:
        """As freshly made: only the well-known accounts, real time, an empty log."""
        with self.lock:
            self.restore(self._pristine)
            self.state.seed = self._new_seed()
            self.random.seed(self.state.seed)
            self.clock.reset()
            self.requests.clear()
            if self._deliverer is not None:
                self._deliverer.reset()

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until every webhook is delivered, or given up; `TimeoutError` after `timeout` real seconds."""
        if self._deliverer is not None:
            self._deliverer.settle(timeout)

    def close(self) -> None:
        """End what runs in the background."""
        with self.lock:
            deliverer, self._deliverer = self._deliverer, None
        if deliverer is not None:
            deliverer.close()

    def _new_seed(self) -> int:
        return self._seed if self._seed is not None else secrets.randbits(48)

    def _derive(self, purpose: str) -> str:
        # From a counter inside the state, so that a restored or reloaded cloud never gives out a value twice.
        with self.lock:
            number = self.state.next_id
            self.state.next_id += 1
            return hashlib.sha256(f"{self.state.seed}:{purpose}:{number}".encode()).hexdigest()
