"""A guard against tests that reach for the network.

Python's own sockets are watched by an audit hook; the SDK's transports, whose sockets may be made in Rust where no hook
sees them, by the URL of each request. An audit hook can't be taken away again, so there is one for the process, which
does nothing while no guard stands.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.emulator.hosts import is_loopback

if TYPE_CHECKING:
    from webex.runtime.protocol import WireRequest

_guards: list[Guard] = []
_lock: Final = threading.Lock()
_installed = False
_TRANSPORTS: Final = (
    ("webex.runtime.pyreqwest_transport", "PyreqwestTransport"),
    ("webex.runtime.pyreqwest_transport", "AsyncPyreqwestTransport"),
    ("webex.runtime.urllib3_transport", "Urllib3Transport"),
    ("webex.runtime.aiohttp_transport", "AiohttpTransport"),
)


class NetworkLeftError(OSError):
    """Something wanted to leave this machine while a guard stood."""


class Guard:
    """What was tried while it stood."""

    def __init__(self, allow: frozenset[str]) -> None:
        self.allow = allow
        self.attempts: list[str] = []

    def check(self, host: str, what: str) -> None:
        """Let loopback and the allowed hosts through; write down and refuse anything else."""
        name = host.strip("[]").rstrip(".").lower()
        if not name or name in self.allow or is_loopback(name) or _is_loopback_address(name):
            return
        self.attempts.append(f"{what} {host}")
        raise NetworkLeftError(
            f"A test wanted to leave this machine ({what} {host}); point it at the emulator instead."
        )


@contextmanager
def stay_on_loopback(*allow: str) -> Iterator[Guard]:
    """Refuse every connection that leaves this machine, except to the hosts named.

    The attempt fails with `NetworkLeftError`, and so does the end of the block, in case the code swallowed that.
    """
    _install()
    guard = Guard(frozenset(name.lower() for name in allow))
    with _lock:
        _guards.append(guard)
    try:
        with _watched_transports():
            yield guard
    finally:
        with _lock:
            _guards.remove(guard)
    if guard.attempts:
        raise NetworkLeftError(f"A test wanted to leave this machine: {'; '.join(dict.fromkeys(guard.attempts))}.")


def _install() -> None:
    global _installed  # noqa: PLW0603 - a process has one audit hook
    with _lock:
        if not _installed:
            sys.addaudithook(_audit)
            _installed = True


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _guards or not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and address:
            _check(str(address[0]), "connect to")
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        if host is not None:
            text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
            if text != socket.gethostname():  # asking for one's own name leaves nothing
                _check(text, "look up")
    elif event == "socket.gethostbyname":
        _check(str(arguments[0]), "look up")


def _check(host: str, what: str) -> None:
    guards = tuple(_guards)
    if guards:
        guards[-1].check(host, what)  # the innermost one decides what the test may do


def _is_loopback_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    # Unspecified addresses reach this machine only.
    return address.is_loopback or address.is_unspecified


@contextmanager
def _watched_transports() -> Iterator[None]:
    import importlib

    originals: list[tuple[Any, Callable[..., Any]]] = []
    for module_name, class_name in _TRANSPORTS:
        try:
            transport = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError):
            continue
        originals.append((transport, transport.send))
        transport.send = _watching(transport.send)
    try:
        yield
    finally:
        for transport, send in originals:
            transport.send = send


def _watching(send: Callable[..., Any]) -> Callable[..., Any]:
    async def watched(self: Any, request: WireRequest) -> Any:
        _check(urlsplit(request.url).hostname or "", "send a request to")
        return await send(self, request)

    return watched
