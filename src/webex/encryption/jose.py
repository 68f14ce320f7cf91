"""JOSE as Webex speaks it: signed ID tokens (RS256). joserfc does the work, and is loaded on first use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_LONGEST: Final = 64 * 1024


class BadTokenError(Exception):
    """A JWT that can't be read, or whose signature does not fit; the text holds none of it."""


class UnknownKeyError(BadTokenError):
    """It is signed with a key that is not in the set."""


def verify_rs256(token: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a JWT whose RS256 signature fits a key of the JWKS; no other algorithm is accepted (RFC 8725 §3.1).

    Claims are not judged here. Raises `UnknownKeyError` when no key has its `kid`, `BadTokenError` otherwise.
    """
    from joserfc import jws, jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    if len(token) > _LONGEST or token.count(".") != 2:
        raise BadTokenError("It is no compact JWS.")
    try:
        header = jws.extract_compact(token.encode()).headers()
        if header.get("alg") != "RS256":
            raise BadTokenError("It is not signed with RS256.")
        usable = [
            key
            for key in keys.get("keys", [])
            if isinstance(key, dict) and key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
        ]
        if "kid" in header and all(key.get("kid") != header["kid"] for key in usable):
            raise UnknownKeyError("It is signed with a key that the key set does not have.")
        key_set = KeySet.import_key_set({"keys": [{k: v for k, v in key.items() if k != "alg"} for key in usable]})
        return dict(jwt.decode(token, key_set, algorithms=["RS256"]).claims)
    except BadTokenError:
        raise
    except (JoseError, ValueError, TypeError, KeyError, UnicodeError) as error:
        raise BadTokenError(f"Its signature could not be verified ({type(error).__name__}).") from None
