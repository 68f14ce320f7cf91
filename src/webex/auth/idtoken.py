"""ID tokens (OpenID Connect Core §3.1.3.7): RS256 pinned; issuer, audience, expiry and nonce checked."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from webex.auth.numbers import moment
from webex.errors import IdTokenError, WebexError

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.config import Config

_LEEWAY: Final = 60.0  # seconds that two clocks may differ
_KEYS_LIVE: Final = 3600.0


class IdTokens:
    """Verifies ID tokens with the keys of the configured URL, which are kept an hour."""

    def __init__(self, endpoint: TokenEndpoint, config: Config) -> None:
        self._endpoint = endpoint
        self._config = config
        self._keys: Mapping[str, Any] | None = None
        self._fetched = 0.0

    async def verify(self, token: str, *, nonce: str | None = None) -> dict[str, Any]:
        """Verify an ID token of this app and return its claims; `IdTokenError` otherwise."""
        from webex.encryption.jose import BadTokenError, UnknownKeyError, verify_rs256

        keys, fresh = await self._current_keys()
        try:
            try:
                claims = verify_rs256(token, keys)
            except UnknownKeyError:
                if fresh:
                    raise
                self._keys = None
                claims = verify_rs256(token, (await self._current_keys())[0])
        except BadTokenError as error:
            raise IdTokenError(f"The ID token is not accepted: {error}") from None
        client_id = self._config.require("client_id")
        check_claims(claims, client_id=client_id, issuers=self._config.issuers, now=self._endpoint.now(), nonce=nonce)
        return claims

    async def _current_keys(self) -> tuple[Mapping[str, Any], bool]:
        now = self._endpoint.now()
        if self._keys is not None and 0 <= now - self._fetched < _KEYS_LIVE:
            return self._keys, False
        try:
            keys = await self._endpoint.get_json(self._config.jwks_url)
        except WebexError as error:
            raise IdTokenError(f"The keys of the ID token could not be fetched: {error}") from error
        if not isinstance(keys, Mapping) or not isinstance(keys.get("keys"), list):
            raise IdTokenError(f"{self._config.jwks_url} gave no key set.")
        self._keys, self._fetched = keys, now
        return keys, True


def check_claims(
    claims: Mapping[str, Any], *, client_id: str, issuers: Sequence[str], now: float, nonce: str | None = None
) -> None:
    """Check what an ID token whose signature is good says; `IdTokenError` unless it is one of this app's, and valid."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") not in issuers:
        raise IdTokenError(
            f"The ID token was issued by {claims.get('iss')!r}, which is none of the configured issuers "
            f"({', '.join(issuers)})."
        )
    if client_id not in audiences:
        raise IdTokenError("The ID token was issued for another app.")
    # OpenID Connect Core §3.1.3.7: `azp` has to be there with several audiences, and this app wherever it is.
    if (len(audiences) > 1 or claims.get("azp") is not None) and claims.get("azp") != client_id:
        raise IdTokenError("The ID token is for another app as well, and this is not the one that asked for it.")
    try:
        expires, not_before = moment(claims.get("exp")), moment(claims.get("nbf"))
    except ValueError as error:
        raise IdTokenError(f"A time of the ID token is {error}.") from None
    if expires is None or expires + _LEEWAY < now:
        raise IdTokenError("The ID token has expired.")
    if not_before is not None and not_before - _LEEWAY > now:
        raise IdTokenError("The ID token is not valid yet.")
    if nonce is not None and not hmac.compare_digest(str(claims.get("nonce") or "").encode(), nonce.encode()):
        raise IdTokenError("The ID token belongs to another sign-in (its nonce differs).")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise IdTokenError("The ID token does not name a person.")
