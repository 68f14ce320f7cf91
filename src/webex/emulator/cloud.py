"""One emulated cloud: its state, clock and settings, and what a test may do to it.

Services reach everything through the `Cloud` of their `Call`. It may be used from any thread; code outside a service's
handler that touches the state holds `cloud.lock`.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from webex.emulator import accounts, directory
from webex.emulator.clock import Clock, iso
from webex.emulator.conversation.feed import Feed
from webex.emulator.faults import FaultPlan
from webex.emulator.oauth.tokens import Tokens
from webex.emulator.realtime.devices import Devices
from webex.emulator.realtime.kms import KMS
from webex.emulator.realtime.mercury import Mercury
from webex.emulator.request_log import RequestLog
from webex.emulator.settings import Settings
from webex.emulator.state import State
from webex.emulator.u2c import ServiceCatalog
from webex.emulator.wire import Change

if TYPE_CHECKING:
    from pathlib import Path

    from webex.emulator.app import App
    from webex.emulator.console.service import Console
    from webex.emulator.delivery import Attempt
    from webex.emulator.state import Integration, Person


_GREGORIAN: Final = 0x01B21DD213814000  # from 1582 to 1970 in steps of 100 ns (RFC 9562 §5.1)


class Deliverer(Protocol):
    """Brings changes to webhooks; see `webex.emulator.delivery`."""

    def publish(self, change: Change) -> None:
        """Take a change that webhooks may be about."""
        ...

    def publish_contact_center(self, kind: str, data: dict[str, Any], org_id: str) -> int:
        """Take an event of a contact center; return for how many subscriptions."""
        ...

    def settle(self, timeout: float) -> None:
        """Wait until everything is delivered."""
        ...

    def redeliver(self, attempt_id: int) -> Attempt:
        """Try a delivery again."""
        ...

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Return what was tried."""
        ...

    def reset(self) -> None:
        """Forget what is under way."""
        ...

    def close(self) -> None:
        """End the worker."""
        ...


class Cloud:
    """The emulated cloud. `seed` makes every id and token that it makes up repeatable; without one they are random."""

    def __init__(self, *, settings: Settings | None = None, seed: int | None = None) -> None:
        self.lock: threading.RLock = threading.RLock()
        self.clock: Clock = Clock()
        self.settings: Settings = settings or Settings()
        self.requests: RequestLog = RequestLog()
        self.url = ""  # where it is served, without a trailing slash
        self.tls_url: str | None = None
        self.ca_file: Path | None = None  # the PEM file of the certificate authority behind `tls_url`
        self.hosts: set[str] = set()  # further Host names that it answers to
        self.on_stop: Callable[[], None] | None = None  # ends the process that serves it, where that may be asked for
        self.faults: FaultPlan = FaultPlan()
        self.revision = 0  # grows with every request that may have changed something
        self._seed = seed
        self._subscribers: list[Callable[[Change], None]] = []
        self._replaced: list[Callable[[], None]] = []
        self._deliverer: Deliverer | None = None
        self._app: App | None = None
        self._console: Console | None = None
        self.state: State = State(seed=self._new_seed())
        self.random: random.Random = random.Random(self.state.seed)  # noqa: S311 - repeatable on purpose
        accounts.populate(self.state, self.now())
        self.tokens: Tokens = Tokens(self)
        self.devices: Devices = Devices(self)
        self.mercury: Mercury = Mercury(self)
        self.kms: KMS = KMS(self)
        self.on_replaced(self.mercury.index)
        self.conversations: Feed = Feed(self)
        self.catalog: ServiceCatalog = ServiceCatalog(self)
        self._pristine = b""
        self._pristine_settings = self.settings
        self.keep()

    # What services use

    def now(self) -> float:
        """Seconds since the epoch by the cloud's clock."""
        return self.clock.time()

    def iso(self, moment: float) -> str:
        """Format a moment as the cloud does: `2026-01-31T12:00:00.000Z`."""
        return iso(moment)

    def new_uuid(self) -> str:
        """Return a new UUID."""
        text = self._derive("uuid")
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:32]}"

    def new_time_uuid(self) -> str:
        """Return a UUID of version 1, as the cloud gives rooms, teams and activities: of the clock, unless seeded."""
        text = self._derive("time uuid")
        ticks = int(text[:15], 16) if self._seed is not None else round(self.now() * 10_000_000) + _GREGORIAN
        low, middle, high = ticks & 0xFFFFFFFF, (ticks >> 32) & 0xFFFF, (ticks >> 48) & 0x0FFF
        return f"{low:08x}-{middle:04x}-1{high:03x}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:32]}"

    def new_secret(self) -> str:
        """64 hexadecimal digits that were not given before: for tokens and codes."""
        return self._derive("secret")

    def next_sequence(self) -> int:
        """Return the next number of the cloud-wide order, for things of equal time."""
        with self.lock:
            number = self.state.next_sequence
            self.state.next_sequence += 1
            return number

    def publish(self, change: Change) -> None:
        """Tell webhooks and subscribers of a change. Never waits."""
        self.conversations.publish(change)
        for subscriber in tuple(self._subscribers):
            subscriber(change)
        self.delivery.publish(change)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` for every change from now on; gives a function that ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def on_replaced(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `state` was replaced (reset, restore), to rebuild an index beside it."""
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
    def console(self) -> Console:
        """The page that shows this cloud to a developer."""
        with self.lock:
            if self._console is None:
                from webex.emulator.console.service import Console

                self._console = Console(self)
            return self._console

    @property
    def console_url(self) -> str:
        """A URL that opens the console in one browser; once it was used, this is another one."""
        return self.console.access.url()

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
        self.replace_state(msgspec.msgpack.decode(snapshot, type=State))

    def replace_state(self, state: State) -> None:
        """Know this and nothing else from now on."""
        with self.lock:
            self.state = state
            for callback in self._replaced:
                callback()

    def reset(self) -> None:
        """As it was at first (the well-known accounts, and the seed): real time, no faults, an empty log."""
        with self.lock:
            self.restore(self._pristine)
            self.settings = msgspec.structs.replace(self._pristine_settings)
            self.state.seed = self._new_seed()
            self.random.seed(self.state.seed)
            self.clock.reset()
            self.requests.clear()
            self.faults.clear()
            self.mercury.reset()
            self.kms.reset()
            self.conversations.reset()
            self.catalog.reset()
            if self._deliverer is not None:
                self._deliverer.reset()

    def keep(self) -> None:
        """Let `reset` come back to how things stand now."""
        with self.lock:
            self._pristine = self.snapshot()
            self._pristine_settings = msgspec.structs.replace(self.settings)

    def load_seed(self, source: Mapping[str, Any] | str | PathLike[str]) -> None:
        """Add what a seed file, or a mapping like one, describes; `reset` comes back to it."""
        from webex.emulator.seed import load_seed

        load_seed(self, source)
        self.keep()

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to a file, for `load`."""
        from webex.emulator.persistence import save

        save(self, path)

    def load(self, path: str | PathLike[str]) -> None:
        """Read everything from a file that `save` wrote."""
        from webex.emulator.persistence import load

        load(self, path)

    def set(self, **settings: Any) -> None:
        """Change settings: `cloud.set(rotation="strict", access_token_lifetime=60)`."""
        from webex.emulator.seed import change_settings

        with self.lock:
            change_settings(self, settings)

    @property
    def env(self) -> dict[str, str]:
        """The variables that point the SDK at this cloud."""
        from webex.emulator.environment import environment

        return environment(self)

    def sign_in(
        self, login_url: str, as_: str = "alice", *, deny: bool = False, scopes: Sequence[str] | None = None
    ) -> str:
        """Open a login URL and answer its pages as a person; return the URL to which the browser is sent back.

        `deny` refuses; `scopes` grants only these of those asked for. `ValueError` when the login URL leads nowhere.
        """
        from webex.emulator.oauth.authorize import sign_in

        with self.lock:
            person = directory.require_person(self, as_)
            granted = list(scopes) if scopes is not None else None
            return sign_in(self, login_url, person, deny_it=deny, scopes=granted)

    def approve_device(self, user_code: str, as_: str = "alice", *, deny: bool = False) -> None:
        """Type a device's code and answer as a person; `LookupError` when no device waits for it."""
        from webex.emulator.oauth.device import decide, pending

        with self.lock:
            person = directory.require_person(self, as_)
            code = pending(self, user_code)
            if code is None:
                raise LookupError(f"No device waits for the code {user_code!r}.")
            decide(code, None if deny else person)

    def add_person(self, email: str, display_name: str | None = None, **fields: Any) -> Person:
        """Add an account; further fields: `id`, `kind` ("person", "bot"), `admin`, `compliance`, `org`."""
        with self.lock:
            return directory.add_person(self, email, display_name, **fields)

    def add_integration(self, name: str = "Another Integration", **fields: Any) -> Integration:
        """Add an app.

        Fields: `redirect_uris`, `scopes`, `public`, `kind`, `any_loopback_port`, `client_id`, `client_secret`.
        """
        with self.lock:
            return directory.add_integration(self, name, **fields)

    def token_for(self, who: str, scopes: Sequence[str] | None = None, **fields: Any) -> str:
        """Issue a token of an account: `client_id`, `lifetime` in seconds; by default with all that it may do."""
        with self.lock:
            return directory.token_for(self, who, scopes, **fields)

    def set_presence(self, who: str, status: str | None, seconds: float = 600) -> None:
        """Set a person's status (`dnd`, `meeting`, …) for a while; `None`: as their sockets say. Watchers are told."""
        from webex.emulator.realtime.presence import set_status

        set_status(self, who, status, seconds)

    def revoke_consent(self, who: str, client_id: str = accounts.CLIENT_ID) -> int:
        """Revoke what a person granted to an app, and its tokens; return how many."""
        with self.lock:
            return self.tokens.end_consent(directory.require_person(self, who).id, client_id)

    def authorize_service_app(self, client_id: str = accounts.SERVICE_APP_ID, who: str = "admin") -> None:
        """Authorize, as an administrator, a service app for their organization: webhooks of `serviceApp` are told."""
        from webex.emulator.oauth.apps import authorize

        with self.lock:
            admin = directory.require_person(self, who)
            authorize(self, client_id, admin.org_id, admin.id)

    def deauthorize_service_app(self, client_id: str = accounts.SERVICE_APP_ID, who: str = "admin") -> int:
        """Take that back: the app's tokens end, and webhooks are told. Returns how many there were."""
        from webex.emulator.oauth.apps import deauthorize

        with self.lock:
            admin = directory.require_person(self, who)
            return deauthorize(self, client_id, admin.org_id, admin.id)

    def contact_center_event(self, kind: str, data: dict[str, Any], who: str = "admin") -> int:
        """Let something happen in the contact center of a person's organization, such as `task:ended`.

        It is posted to the subscriptions of `/v1/subscriptions` and `/v2/subscriptions`. Returns to how many.
        """
        with self.lock:
            org_id = directory.require_person(self, who).org_id
        return self.delivery.publish_contact_center(kind, data, org_id)

    def transport(self) -> Any:
        """Return a transport for the SDK (`Config(transport=…)`) without a socket, for both styles."""
        from webex.testing.transport import EmulatorTransport

        return EmulatorTransport(self)

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
