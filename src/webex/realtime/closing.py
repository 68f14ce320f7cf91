"""What a closed socket asks for: the one table of close codes (realtime-protocol §3.5).

The JS SDK stops for good on most codes; here only a refusal of the account, a replacement and our own wish do.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from webex.errors import ApiError, DecodeError, KMSTimeoutError, TransportError
from webex.http.retry import RETRY_STATUSES


class Next(Enum):
    """What to do after a socket has closed."""

    RECONNECT = "reconnect"
    REFRESH_TOKEN = "refresh the token, then reconnect"  # no secret
    REFRESH_DEVICE = "refresh the device, then reconnect"
    REPLACED = "stop: another socket has taken the registration"
    REFUSED = "stop: this account may not listen"


_ALWAYS: Final = {
    4000: Next.REPLACED,
    4400: Next.REFUSED,
    4403: Next.REFUSED,
    4401: Next.REFRESH_TOKEN,
    4404: Next.REFRESH_DEVICE,
}
_UPGRADE: Final = {
    401: Next.REFRESH_TOKEN,
    404: Next.REFRESH_DEVICE,
}


def after_close(code: int | None, reason: str = "", *, ready: bool) -> Next:
    """What to do after this close code; None is a connection that was cut. `ready`: the state frame had come."""
    if code == 1005 and reason.strip().lower() == "replaced":
        return Next.REPLACED
    if code in _ALWAYS:
        return _ALWAYS[code]
    if code == 1005 and not ready:
        return Next.REFRESH_DEVICE
    return Next.RECONNECT


def after_refusal(status: int) -> Next:
    """What to do when the upgrade was refused with this HTTP status."""
    return _UPGRADE.get(status, Next.RECONNECT)


def is_in_vain(failure: Exception) -> bool:
    """Whether trying a first connection again would change nothing: the cloud refuses, or says what none can read."""
    if isinstance(failure, ApiError):
        return not is_passing(failure) and failure.status != 404
    return isinstance(failure, DecodeError)


def is_passing(failure: Exception) -> bool:
    """Whether it may be gone in a moment: no way to a service, or a service that is out of order."""
    if isinstance(failure, ApiError):
        return failure.status >= 500 or failure.status in RETRY_STATUSES
    return isinstance(failure, TransportError | KMSTimeoutError | OSError)
