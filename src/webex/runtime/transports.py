"""Which transport serves a style, a process and an event loop.

aiohttp serves the event loop, urllib3 blocking code. pyreqwest serves either by explicit choice. A library is imported
by the first call that needs it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from webex.config.model import TRANSPORTS
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.runtime.protocol import Style, Transport

_DEFAULTS: Final = {"async": "aiohttp", "blocking": "urllib3"}

_pyreqwest_used_by: set[int] = set()  # processes: this one, or one that it was forked from
_loading: threading.Lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """How to reach the network. Times are seconds."""

    transport: Any = "auto"  # a name, an `aiohttp.ClientSession`, or an object of the transport protocol
    proxy_for: Callable[[str], str | None] | None = field(default=None, repr=False)  # the proxy of a URL, if any
    ca_bundle: str | None = None
    pool_size: int = 100
    connect_timeout: float = 10.0
    idle_timeout: float = 60.0  # between two pieces of a streamed answer

    def proxy_of(self, url: str) -> str | None:
        """Return the proxy that a URL is reached through."""
        return None if self.proxy_for is None else self.proxy_for(url)


def check_transport(chosen: Any, style: Style | None = None) -> None:
    """`ConfigurationError` for a transport that can't be, or can't be in this style."""
    if isinstance(chosen, str):
        if chosen not in TRANSPORTS:
            names = ", ".join(repr(name) for name in TRANSPORTS)
            raise ConfigurationError(
                f"transport is {chosen!r}; it is {names}, an aiohttp.ClientSession, or an object with send() and "
                "aclose()."
            )
        if style is not None and chosen in ("aiohttp", "urllib3") and chosen != _DEFAULTS[style]:
            classes = "Webex, Integration" if style == "blocking" else "AsyncWebex, AsyncIntegration"
            raise ConfigurationError(
                f"transport={chosen!r} can't serve the {style} classes ({classes}): aiohttp serves the Async… classes, "
                f"urllib3 the blocking ones. Leave transport out, or set it to 'auto'."
            )
        if style is not None and chosen == "pyreqwest":
            _check_pyreqwest()
        return
    if is_session(chosen):
        if style == "blocking":
            raise ConfigurationError("An aiohttp.ClientSession serves the Async… classes only, not blocking ones.")
        return
    if isinstance(chosen, type) or not all(callable(getattr(chosen, name, None)) for name in ("send", "aclose")):
        raise ConfigurationError(
            f"transport is an object of type {type(chosen).__name__} without send() and aclose(); give a name, an "
            "aiohttp.ClientSession, or an object of the transport protocol."
        )


def is_session(chosen: Any) -> bool:
    """Whether this is an `aiohttp.ClientSession`; imports nothing."""
    aiohttp = sys.modules.get("aiohttp")
    kind = getattr(aiohttp, "ClientSession", None)
    return kind is not None and isinstance(chosen, kind)


def is_at_hand(style: Style, options: TransportOptions) -> bool:
    """Whether the transport can be made without importing a library or reading certificates."""
    return not isinstance(options.transport, str) and not is_session(options.transport)


def make_transport(style: Style, options: TransportOptions) -> Transport:
    """Return the transport for this process: an object as it was given, else a new one. In blocking style only."""
    made: Transport = prepare(style, options)()
    return made


def prepare(style: Style, options: TransportOptions) -> Any:
    """Import and read what takes long, on any thread; gives a function that makes the transport on the right one."""
    chosen = options.transport
    if not isinstance(chosen, str) and not is_session(chosen):
        return lambda: chosen
    if chosen == "pyreqwest":
        _check_pyreqwest()
        with _loading:
            _load_pyreqwest()
        from webex.runtime import pyreqwest_transport as fast

        kind: Any = fast.PyreqwestTransport if style == "blocking" else fast.AsyncPyreqwestTransport
        return lambda: kind(options)
    from webex.runtime.certificates import tls_context

    context = tls_context(options.ca_bundle, style)
    if style == "blocking":
        from webex.runtime.urllib3_transport import Urllib3Transport

        return lambda: Urllib3Transport(options, context=context)
    from webex.runtime.aiohttp_transport import AiohttpTransport

    session = None if isinstance(chosen, str) else chosen
    return lambda: AiohttpTransport(options, context=context, session=session)


def _check_pyreqwest() -> None:
    if sys.modules.get("pyreqwest") is None and importlib.util.find_spec("pyreqwest") is None:
        raise ConfigurationError(
            "transport='pyreqwest' needs the package pyreqwest, which is not installed. Install webex[fast], or leave "
            "transport out."
        )
    if _pyreqwest_used_by - {os.getpid()}:
        raise ConfigurationError(
            "transport='pyreqwest' does not work in a process that was forked from one that had used it. Make the "
            "first call after the fork, or leave transport out."
        )
    if _is_patched():
        raise ConfigurationError(
            "transport='pyreqwest' does not work under gevent or eventlet: one call would stop all greenlets. Leave "
            "transport out."
        )


def _is_patched() -> bool:
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("socket"):
        return True
    eventlet = sys.modules.get("eventlet.patcher")
    return eventlet is not None and bool(eventlet.is_monkey_patched("socket"))


def _load_pyreqwest() -> None:
    """Import it on a thread that never ends: it takes the process down when its first thread ends."""
    if os.getpid() in _pyreqwest_used_by:
        return
    ready = threading.Event()
    failures: list[BaseException] = []

    def host() -> None:
        try:
            from webex.runtime import pyreqwest_transport

            pyreqwest_transport.warm_up()
        except BaseException as error:
            failures.append(error)
        ready.set()
        threading.Event().wait()

    threading.Thread(target=host, name="webex:pyreqwest", daemon=True).start()
    ready.wait()
    if failures:
        raise ConfigurationError(f"pyreqwest can't be used: {type(failures[0]).__name__}.") from failures[0]
    _pyreqwest_used_by.add(os.getpid())


def _after_fork() -> None:
    global _loading  # noqa: PLW0603  # the parent may have held it
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
