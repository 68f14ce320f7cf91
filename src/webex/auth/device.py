"""Sign-in on a device without a browser (RFC 8628)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webex.auth.scopes import sort_scope
from webex.errors import AuthorizationPendingError, DecodeError, DeviceCodeExpiredError, SlowDownError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.tokens import TokenSet
    from webex.runtime.protocol import Runtime


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """Show `user_code` and `verification_uri`; `verification_uri_complete` has both, for a QR code. Times: seconds."""

    user_code: str = field(repr=False)
    verification_uri: str
    verification_uri_complete: str | None = field(repr=False)
    expires_in: float
    interval: float
    scope: str
    device_code: str = field(repr=False)


async def begin(endpoint: TokenEndpoint, scope: str | Sequence[str]) -> DeviceLogin:
    """Ask for a pair of codes."""
    wanted = sort_scope(scope)
    body = await endpoint.authorize_device(wanted)
    try:
        return DeviceLogin(
            user_code=str(body["user_code"]),
            verification_uri=str(body["verification_uri"]),
            verification_uri_complete=body.get("verification_uri_complete"),
            expires_in=float(body.get("expires_in") or 300),
            interval=float(body.get("interval") or 5),
            scope=wanted,
            device_code=str(body["device_code"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError(f"The device endpoint's answer lacks {error}.") from None


async def wait(runtime: Runtime, endpoint: TokenEndpoint, login: DeviceLogin) -> TokenSet:
    """Ask until the person has decided; `AccessDeniedError` or `DeviceCodeExpiredError` when it came to nothing."""
    give_up = runtime.clock.monotonic() + login.expires_in
    interval = login.interval
    while True:
        try:
            return await endpoint.poll_device(login.device_code)
        except AuthorizationPendingError:
            pass
        except SlowDownError:
            interval += 5
        if runtime.clock.monotonic() + interval > give_up:
            raise DeviceCodeExpiredError("expired_token", "The person did not decide in time.")
        await runtime.sleep(interval)
