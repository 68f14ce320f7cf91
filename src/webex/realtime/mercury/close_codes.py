"""Decide what follows a closed socket: the table of close codes (mercury §3.5).

The JS SDK stops for good on most codes; here only a refusal of the account, a replacement and our own close do.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from webex.errors import (
    ApiError,
    ConnectionReplacedError,
    DecodeError,
    KMSTimeoutError,
    RealtimeError,
    TransportError,
)
from webex.http.retry import RETRY_STATUSES
from webex.storage.formats import NewerRecordError


class CloseAction(Enum):
    """What to do after a socket has closed."""

    RECONNECT = "reconnect"
    REFRESH_TOKEN = "refresh the token, then reconnect"  # no secret
    REFRESH_DEVICE = "refresh the device, then reconnect"
    REPLACED = "stop: another socket has taken the registration"
    REFUSED = "stop: this account may not listen"

    @property
    def is_final(self) -> bool:
        """Whether the connection ends for good."""
        return self in (CloseAction.REPLACED, CloseAction.REFUSED)


_ALWAYS: Final = {
    4000: CloseAction.REPLACED,
    4400: CloseAction.REFUSED,
    4403: CloseAction.REFUSED,
    4401: CloseAction.REFRESH_TOKEN,
    4404: CloseAction.REFRESH_DEVICE,
}
_UPGRADE: Final = {
    401: CloseAction.REFRESH_TOKEN,
    404: CloseAction.REFRESH_DEVICE,
}


def after_close(code: int | None, reason: str = "", *, ready: bool) -> CloseAction:
    """Return what follows a close code; None is a connection that was cut. `ready`: the state frame had come."""
    if code == 1005 and reason.strip().lower() == "replaced":
        return CloseAction.REPLACED
    if code in _ALWAYS:
        return _ALWAYS[code]
    if code == 1005 and not ready:
        return CloseAction.REFRESH_DEVICE
    return CloseAction.RECONNECT


def after_refusal(status: int) -> CloseAction:
    """Return what follows when the upgrade was refused with this HTTP status."""
    return _UPGRADE.get(status, CloseAction.RECONNECT)


def fatal_error(verdict: CloseAction, code: int | None) -> RealtimeError | None:
    """Return the error to end with, where an action is to stop."""
    if verdict is CloseAction.REPLACED:
        return ConnectionReplacedError(
            "Another socket has taken this device: give each process a device_name of its own.", code=code
        )
    if verdict is CloseAction.REFUSED:
        return RealtimeError("Webex refuses to let this account listen.", code=code)
    return None


def is_permanent(failure: Exception) -> bool:
    """Return whether retrying the first connection cannot succeed."""
    if isinstance(failure, ApiError):
        return not is_transient(failure) and failure.status != 404
    return isinstance(failure, DecodeError | NewerRecordError)


def is_transient(failure: Exception) -> bool:
    """Return whether a failure is temporary: a service that can't be reached, or answers 5xx or 429."""
    if isinstance(failure, ApiError):
        return failure.status >= 500 or failure.status in RETRY_STATUSES
    return isinstance(failure, TransportError | KMSTimeoutError | OSError)
