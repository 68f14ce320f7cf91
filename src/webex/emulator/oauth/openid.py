"""OpenID Connect: discovery, signing key, ID tokens, userinfo."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.wire import Call, Problem, Reply
from webex.ids import base64url_encode

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person, Token

JWKS: Final = "/idb/oauth2/v2/keys/verificationjwk"
_making_key: Final = threading.Lock()


def routes(table: RouteTable) -> None:
    """Serve discovery below the issuer and below the API, the keys, and userinfo."""
    table.add("GET", "/v1/.well-known/openid-configuration", discovery)
    table.add("GET", "/idb/.well-known/openid-configuration", discovery)
    table.add("GET", JWKS, jwks)
    for method in ("GET", "POST"):
        table.add(method, "/v1/userinfo", userinfo)


def issuer(call: Call) -> str:
    """Who issues ID tokens, as the client that asks knows it."""
    return f"{call.base}/idb"


def discovery(call: Call) -> Reply:
    """OpenID Connect Discovery §4.2."""
    base = call.base
    return Reply(
        200,
        {
            "issuer": issuer(call),
            "authorization_endpoint": f"{base}/v1/authorize",
            "token_endpoint": f"{base}/v1/access_token",
            "userinfo_endpoint": f"{base}/v1/userinfo",
            "jwks_uri": f"{base}{JWKS}",
            "revocation_endpoint": f"{base}/idb/oauth2/v1/revoke",
            "end_session_endpoint": f"{base}/idb/oauth2/v1/logout",
            "device_authorization_endpoint": f"{base}/v1/device/authorize",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "claims_supported": [
                "sub",
                "iss",
                "aud",
                "exp",
                "iat",
                "nonce",
                "email",
                "name",
                "given_name",
                "family_name",
            ],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        },
    )


def jwks(call: Call) -> Reply:
    """Return the public key that ID tokens are signed with (RFC 7517 §5)."""
    return Reply(200, {"keys": [{**_key().as_dict(private=False), "use": "sig", "alg": "RS256"}]})


def userinfo(call: Call) -> Reply:
    """OpenID Connect Core §5.3: what the token's scopes allow to know of its person."""
    person, token = call.person(), call.token
    assert token is not None
    if "openid" not in token.scopes:
        raise Problem(403, "The token lacks a required scope: openid.")
    return Reply(200, {"sub": person.id, **_claims(person, token)})


def id_token(call: Call, person: Person, client_id: str, token: Token, nonce: str | None = None) -> str:
    """Make the ID token of a sign-in (OpenID Connect Core §2)."""
    from joserfc import jwt

    now = int(call.cloud.now())
    claims = {
        "iss": issuer(call),
        "sub": person.id,
        "aud": client_id,
        "iat": now,
        "auth_time": now,
        "exp": now + int(call.cloud.settings.id_token_lifetime),
        "jti": call.cloud.new_uuid(),
        **({"nonce": nonce} if nonce is not None else {}),
        **_claims(person, token),
    }
    key = _key()
    return jwt.encode({"alg": "RS256", "kid": str(key.kid)}, claims, key)


def _claims(person: Person, token: Token) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    if "email" in token.scopes:
        claims |= {"email": person.email, "email_verified": True}
    if "profile" in token.scopes:
        names = {"name": person.display_name, "given_name": person.first_name, "family_name": person.last_name}
        claims |= {name: value for name, value in names.items() if value}
    return claims


def _key() -> RSAKey:
    # Two first sign-ins at once must not make two keys.
    with _making_key:
        return _make_key()


@lru_cache(maxsize=1)
def _make_key() -> RSAKey:
    """One key for this process, made when it is first needed: making it takes longer than starting a cloud."""
    import hashlib

    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(2048, private=True)
    modulus = str(key.as_dict(private=False)["n"])
    return RSAKey.import_key(
        {**key.as_dict(private=True), "kid": base64url_encode(hashlib.sha256(modulus.encode()).digest()[:12])}
    )
