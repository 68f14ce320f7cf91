"""Tokens, grants, sign-in, credentials: freshness, refresh, revocation."""

from __future__ import annotations

from webex.auth.callbacks import CallbackTokens
from webex.auth.device import DeviceLogin
from webex.auth.endpoint import TokenEndpoint
from webex.auth.events import AuthEvent, Events
from webex.auth.login import Login, LoginFlow, SignedIn, User, safe_return_to
from webex.auth.manager import TokenManager
from webex.auth.sources import FetchedToken, NoToken, StaticToken, UserTokens
from webex.auth.store import CredentialStore
from webex.auth.tokens import TokenSet, normalise_token
from webex.auth.urls import build_login_url, build_logout_url

__all__ = [
    "AuthEvent",
    "CallbackTokens",
    "CredentialStore",
    "DeviceLogin",
    "Events",
    "FetchedToken",
    "Login",
    "LoginFlow",
    "NoToken",
    "SignedIn",
    "StaticToken",
    "TokenEndpoint",
    "TokenManager",
    "TokenSet",
    "User",
    "UserTokens",
    "build_login_url",
    "build_logout_url",
    "normalise_token",
    "safe_return_to",
]
