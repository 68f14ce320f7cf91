"""An emulator in another process, with the names that a `Cloud` has in this one."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webex.emulator import accounts
from webex.emulator.realtime.remote import RemoteConversations, RemoteFaultSet, RemoteKMS, RemoteMercury

if TYPE_CHECKING:
    import ssl
    from os import PathLike


class EmulatorError(RuntimeError):
    """The emulator refused a command, or is not there."""


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """A person or an app of the emulator; its fields are attributes."""

    fields: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        return f"<Record {self.fields.get('email') or self.fields.get('client_id')}>"


class EmulatorClient:
    """Controls the emulator at a URL: `EmulatorClient("http://127.0.0.1:8800").reset()`.

    `timeout` is in seconds for each command; `ca_file` is the emulator's certificate authority when the URL is https.
    """

    def __init__(self, url: str, *, timeout: float = 30.0, ca_file: str | PathLike[str] | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the URL of an emulator.")
        self.url: str = url.rstrip("/")
        self._timeout = timeout
        self._tls = _trusting(ca_file)
        self.clock: RemoteClock = RemoteClock(self)
        self.requests: RemoteRequests = RemoteRequests(self)
        self.faults: RemoteFaults = RemoteFaults(self)
        self.mercury: RemoteMercury = RemoteMercury(self.command)
        self.kms: RemoteKMS = RemoteKMS(self.command)
        self.conversations: RemoteConversations = RemoteConversations(self.command)
        self.catalog: RemoteFaultSet = RemoteFaultSet(self.command, "catalog_faults")

    def command(self, name: str, /, **arguments: Any) -> Any:
        """Send one command of the control API and give its result; `EmulatorError` says what was wrong."""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self.url}/_emulator/{name}",
            data=json.dumps(arguments).encode(),
            headers={"content-type": "application/json", "x-webex-emulator": "1"},
            method="POST",
        )
        # The emulator is on this machine: whatever proxy the environment names is not asked.
        handlers: list[Any] = [urllib.request.ProxyHandler({})]
        if self._tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self._tls))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=self._timeout) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            with error:
                raise EmulatorError(_message(error)) from None
        except (KeyError, TypeError):
            raise EmulatorError(f"What listens at {self.url} is not this emulator.") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EmulatorError(f"There is no emulator at {self.url}: {getattr(error, 'reason', error)}") from None

    @property
    def env(self) -> dict[str, str]:
        """The variables that point the SDK at it."""
        result: dict[str, str] = self.command("env")
        return result

    @property
    def console_url(self) -> str:
        """A URL that opens its console in one browser; once it was used, this is another one."""
        return str(self.command("console_url"))

    def who(self) -> dict[str, Any]:
        """Describe the server: `name`, `pid`, `url`, and whether `stop` may end it."""
        answer = self.command("who")
        if not isinstance(answer, dict) or answer.get("name") != "webex emulator":
            raise EmulatorError(f"What listens at {self.url} is not this emulator.")
        return answer

    def stop(self) -> None:
        """End an emulator that was started with `webex emulator`."""
        self.command("stop")

    def reset(self) -> None:
        """As it was at first: only the well-known accounts and the seed."""
        self.command("reset")

    def snapshot(self) -> bytes:
        """Everything it knows, for `restore`."""
        return b64decode(self.command("snapshot"))

    def restore(self, snapshot: bytes) -> None:
        """Go back to a snapshot."""
        self.command("restore", snapshot=b64encode(snapshot).decode())

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until every webhook is delivered, or given up."""
        self.command("settle", timeout=timeout)

    def set(self, **settings: Any) -> None:
        """Change settings: `set(rotation="strict")`."""
        self.command("settings", **settings)

    def sign_in(
        self, login_url: str, as_: str = "alice", *, deny: bool = False, scopes: Sequence[str] | None = None
    ) -> str:
        """Open a login URL and answer its pages as a person; return the URL to which the browser is sent back."""
        return str(self.command("sign_in", login_url=login_url, as_=as_, deny=deny, scopes=scopes))

    def approve_device(self, user_code: str, as_: str = "alice", *, deny: bool = False) -> None:
        """Type a device's code and answer as a person."""
        self.command("approve_device", user_code=user_code, as_=as_, deny=deny)

    def add_person(self, email: str, display_name: str | None = None, **fields: Any) -> Record:
        """Add an account; see `Cloud.add_person`."""
        return Record(self.command("add_person", email=email, display_name=display_name, **fields))

    def add_integration(self, name: str = "Another Integration", **fields: Any) -> Record:
        """Add an app; see `Cloud.add_integration`."""
        return Record(self.command("add_integration", name=name, **fields))

    def token_for(self, who: str, scopes: Sequence[str] | None = None, **fields: Any) -> str:
        """Issue a new token of an account."""
        return str(self.command("token_for", who=who, scopes=scopes, **fields))

    def set_presence(self, who: str, status: str | None, seconds: float = 600) -> None:
        """Set a person's status (`dnd`, `meeting`, …) for a while; `None`: what their sockets say."""
        self.command("set_presence", who=who, status=status, seconds=seconds)

    def revoke_consent(self, who: str, client_id: str = accounts.CLIENT_ID) -> int:
        """Revoke what a person granted to an app; return how many tokens ended."""
        return int(self.command("revoke_consent", who=who, client_id=client_id))

    def authorize_service_app(self, client_id: str = accounts.SERVICE_APP_ID, who: str = "admin") -> None:
        """Authorize, as an administrator, a service app for their organization; webhooks are told."""
        self.command("authorize_service_app", client_id=client_id, who=who)

    def deauthorize_service_app(self, client_id: str = accounts.SERVICE_APP_ID, who: str = "admin") -> int:
        """Take that back, as an administrator; return how many tokens ended."""
        return int(self.command("deauthorize_service_app", client_id=client_id, who=who))

    def load_seed(self, seed: Mapping[str, Any]) -> None:
        """Add what a mapping like a seed file describes."""
        self.command("load_seed", seed=seed)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to a file on the emulator's machine."""
        self.command("save", path=str(path))

    def load(self, path: str | PathLike[str]) -> None:
        """Read everything from a file on the emulator's machine."""
        self.command("load", path=str(path))


class RemoteClock:
    """The clock of an emulator in another process."""

    def __init__(self, client: EmulatorClient) -> None:
        self._client = client

    def time(self) -> float:
        """Seconds since the epoch."""
        return float(self._client.command("clock"))

    def advance(self, seconds: float) -> float:
        """Move forward; gives the new time."""
        return float(self._client.command("clock", advance=seconds))

    def set(self, to: float) -> float:
        """Go to a moment, in seconds since the epoch."""
        return float(self._client.command("clock", set=to))

    def freeze(self) -> float:
        """Stop."""
        return float(self._client.command("clock", freeze=True))

    def run(self) -> None:
        """Run again."""
        self._client.command("clock", run=True)


class RemoteRequests:
    """The log of requests of an emulator in another process."""

    def __init__(self, client: EmulatorClient) -> None:
        self._client = client

    def find(self, **wanted: Any) -> list[Record]:
        """Return the requests whose fields equal the given ones; see `RequestLog.find`."""
        return [Record(entry) for entry in self._client.command("requests", **wanted)]

    def count(self, **wanted: Any) -> int:
        """How many requests `find` would give."""
        return int(self._client.command("count_requests", **wanted))

    @property
    def refreshes(self) -> int:
        """How many times a token was refreshed with success."""
        return int(self._client.command("refreshes"))

    def clear(self) -> None:
        """Forget everything so far."""
        self._client.command("clear_requests")

    def __len__(self) -> int:
        return self.count()


class RemoteFaults:
    """The faults of an emulator in another process."""

    def __init__(self, client: EmulatorClient) -> None:
        self._client = client

    def add(self, path: str = "*", **what: Any) -> Record:
        """Let something go wrong; see `FaultPlan.add`."""
        return Record(self._client.command("add_fault", path=path, **what))

    def remove(self, fault: Record | int) -> None:
        """Take one fault away."""
        self._client.command("remove_fault", id=fault if isinstance(fault, int) else fault.id)

    def clear(self) -> None:
        """Let everything go well again."""
        self._client.command("clear_faults")

    def as_list(self) -> list[dict[str, Any]]:
        """Return the faults as plain data."""
        result: list[dict[str, Any]] = self._client.command("faults")
        return result


def _trusting(ca_file: str | PathLike[str] | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    import ssl

    return ssl.create_default_context(cafile=str(ca_file))


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError):
        return f"The emulator answered {error.code}."
