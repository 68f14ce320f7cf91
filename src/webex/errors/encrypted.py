"""Encryption, the key service and real time."""

from __future__ import annotations

from webex.errors.base import WebexError


class DecryptionError(WebexError):
    """An encrypted value can't be opened: wrong key, or the value was damaged or moved."""


class EncryptionError(WebexError):
    """There is no key to encrypt with, so nothing was sent: plain text never leaves in its place."""


class KMSError(WebexError):
    """The key service refused a request, or its answer can't be trusted.

    `status` is the status inside its answer (None when there was none), `error_code` its own code, `request_id` the id
    of the request.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        error_code: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.status = status
        self.error_code = error_code
        self.request_id = request_id
        super().__init__(message)


class KMSIdentityError(KMSError):
    """The key service does not prove to be who it says: its certificate, or the signature of its answer, is wrong."""


class KMSTimeoutError(KMSError, TimeoutError):
    """The key service did not answer in time."""


class KeyRevokedError(KMSError):
    """The organization revoked this key: what it encrypted can't be read any more."""


class RealtimeError(WebexError):
    """Events can't be received, and trying again will not help; `code` is the socket's close code, if there was one."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        self.code = code
        super().__init__(message)


class ConnectionReplacedError(RealtimeError):
    """Another process listens with the same device: give each a `device_name` of its own."""


class SlowConsumerError(RealtimeError):
    """Events came faster than they were taken, and the chosen policy is `raise`."""
