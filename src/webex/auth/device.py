"""Sign-in on a device without a browser (RFC 8628)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from webex.auth.numbers import seconds
from webex.auth.scopes import sort_scope
from webex.errors import AuthorizationPendingError, DecodeError, DeviceCodeExpiredError, SlowDownError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.tokens import TokenSet
    from webex.runtime.protocol import Runtime

_LIFETIME: Final = 300.0  # where the answer names none
_INTERVAL: Final = 5.0  # RFC 8628 §3.2
_SHORTEST: Final = 1.0  # whatever the answer says


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
            expires_in=_seconds(body, "expires_in") or _LIFETIME,
            interval=_seconds(body, "interval") or _INTERVAL,
            scope=wanted,
            device_code=str(body["device_code"]),
        )
    except (KeyError, TypeError) as error:
        raise DecodeError(f"The device endpoint's answer lacks {error}.") from None


async def wait(runtime: Runtime, endpoint: TokenEndpoint, login: DeviceLogin) -> TokenSet:
    """Ask until the person has decided; `AccessDeniedError` or `DeviceCodeExpiredError` when it came to nothing."""
    given = {"expires_in": login.expires_in, "interval": login.interval}
    give_up = runtime.clock.monotonic() + (_seconds(given, "expires_in") or 0.0)
    interval = max(_seconds(given, "interval") or _INTERVAL, _SHORTEST)
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


def _seconds(body: Mapping[str, Any], name: str) -> float | None:
    try:
        return seconds(body.get(name))
    except ValueError as error:
        raise DecodeError(f"The device endpoint's {name} is {error}.", path=name) from None
