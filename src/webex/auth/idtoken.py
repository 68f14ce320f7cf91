"""ID tokens (OpenID Connect Core §3.1.3.7): RS256 pinned; issuer, audience, expiry and nonce checked."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

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
        """The claims of a token that proves who signed in to this app; `IdTokenError` otherwise."""
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
        self._judge(claims, nonce)
        return claims

    def _judge(self, claims: Mapping[str, Any], nonce: str | None) -> None:
        now = self._endpoint.now()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        client_id = self._config.require("client_id")
        expires = claims.get("exp")
        if claims.get("iss") not in self._config.issuers:
            raise IdTokenError(
                f"The ID token was issued by {claims.get('iss')!r}, which is none of the configured issuers "
                f"({', '.join(self._config.issuers)})."
            )
        if client_id not in audiences:
            raise IdTokenError("The ID token was issued for another app.")
        if len(audiences) > 1 and claims.get("azp") != client_id:
            raise IdTokenError("The ID token is for several apps, and this is not the one that asked for it.")
        if not isinstance(expires, int | float) or expires + _LEEWAY < now:
            raise IdTokenError("The ID token has expired.")
        not_before = claims.get("nbf")
        if isinstance(not_before, int | float) and not_before - _LEEWAY > now:
            raise IdTokenError("The ID token is not valid yet.")
        if nonce is not None and not hmac.compare_digest(str(claims.get("nonce") or "").encode(), nonce.encode()):
            raise IdTokenError("The ID token belongs to another sign-in (its nonce differs).")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise IdTokenError("The ID token does not name a person.")

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
