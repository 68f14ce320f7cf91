"""Which transport serves this process and event loop, and when it is made anew.

What is open belongs to one process and, in event-loop style, to one loop. pyreqwest can't live through a `fork()`: in a
child of a process that had used it, urllib3 serves instead, and one log line says so.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.runtime.protocol import Style, Transport

_logger = logging.getLogger("webex.runtime")

_used_by: set[int] = set()  # processes (this one, or one that it was forked from) that have started pyreqwest
_told: set[int] = set()


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """How to reach the network. Times are seconds."""

    transport: Any = "auto"  # "auto", "pyreqwest", "urllib3", or an object of the transport protocol
    proxy: str | None = None
    ca_bundle: str | None = None
    pool_size: int = 100
    connect_timeout: float = 10.0
    idle_timeout: float = 60.0  # between two pieces of a streamed answer


def make_transport(style: Style, options: TransportOptions) -> Transport:
    """The transport for this process; imports its library only now."""
    chosen = options.transport
    if not isinstance(chosen, str):
        own: Transport = chosen
        return own
    forked = bool(_used_by - {os.getpid()})
    if chosen == "urllib3" or forked:
        if forked and chosen != "urllib3" and os.getpid() not in _told:
            _told.add(os.getpid())
            _logger.warning(
                "this process was forked from one that had already made calls, so urllib3 serves its calls; "
                'make the first call after the fork, or choose transport="urllib3", to be rid of this message'
            )
        from webex.runtime.urllib3_transport import AsyncUrllib3Transport, Urllib3Transport

        return Urllib3Transport(options) if style == "blocking" else AsyncUrllib3Transport(options)
    from webex.runtime.pyreqwest_transport import AsyncPyreqwestTransport, PyreqwestTransport

    _used_by.add(os.getpid())
    return PyreqwestTransport(options) if style == "blocking" else AsyncPyreqwestTransport(options)
