"""Webex as an identity provider for Authlib, in Flask, Django, Starlette and FastAPI apps that sign people in with it.

oauth = OAuth(app)
register(oauth)

token = oauth.webex.authorize_access_token()  # token["userinfo"] is the person
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from webex.auth.scopes import split
from webex.config import load_config

__all__ = ["register"]


def register(oauth: Any, name: str = "webex", *, scope: str | Sequence[str] | None = None, **settings: Any) -> Any:
    """Register Webex with an `OAuth` of Authlib, and return its client.

    Client id, client secret, scopes and region are those of an `Integration`: settings given here, or `WEBEX_*` of the
    environment. The scopes always hold `openid`, and by default also `email` and `profile`. The sign-in uses PKCE and
    a nonce; the ID token has to be signed with RS256, by one of Webex's issuers (a person's region decides which), for
    this app.
    """
    config, _ = load_config(settings, None)
    wanted = split(scope if scope is not None else config.scope or ("openid", "email", "profile"))
    return oauth.register(
        name,
        client_cls=_client_class(oauth.oauth2_client_cls, config.issuers),
        client_id=config.require("client_id"),
        client_secret=config.require("client_secret"),
        authorize_url=config.authorize_url,
        access_token_url=config.token_url,
        api_base_url=config.service_urls["hydra"] + "/",
        userinfo_endpoint=config.userinfo_url,
        jwks_uri=config.jwks_url,
        id_token_signing_alg_values_supported=["RS256"],
        client_kwargs={
            "scope": " ".join(dict.fromkeys(["openid", *wanted])),
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "client_secret_post",
        },
    )


def _client_class(base: Any, issuers: Sequence[str]) -> type:
    """Return Authlib's client of a framework, which accepts the ID tokens of these issuers."""
    check: Callable[..., Any] = base.parse_id_token

    def parse_id_token(self: Any, token: Any, nonce: str | None, claims_options: Any = None, **options: Any) -> Any:
        """Return the claims of an ID token that is valid; in event-loop style they are awaited."""
        claims_options = claims_options or {
            "iss": {"essential": True, "values": list(issuers)},
            "aud": {"essential": True, "value": self.client_id},
        }
        return check(self, token, nonce, claims_options=claims_options, **options)

    return type("WebexApp", (base,), {"parse_id_token": parse_id_token})
