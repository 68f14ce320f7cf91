"""The URLs that a browser is sent to (core-behaviour §2.15)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from webex.errors import ConfigurationError
from webex.ids import base64url_encode

if TYPE_CHECKING:
    from webex.config import Config

_LITERAL: Final = "-_.!~*'()"
_SET_BY_US: Final = ("client_id", "redirect_uri", "scope")


def build_login_url(config: Config, *, client_type: str | None = None, **options: Any) -> str:
    """The consent page's URL: pure, no I/O, no PKCE; the state is the caller's.

    `client_type="confidential"` asks for a code, `"public"` for a token in the fragment; without options at all it is
    `"public"`, as in the Node SDK. `state` is a mapping, sent as base64url of its JSON, or left out when empty.
    """
    if client_type is None and not options:
        client_type = "public"
    state = options.pop("state", None)
    if state is not None and not isinstance(state, Mapping):
        raise ConfigurationError("if specified, `state` must be a mapping; it is sent as base64url of its JSON.")
    pairs: list[tuple[str, Any]] = []
    if state:
        pairs.append(("state", base64url_encode(json.dumps(state, separators=(",", ":"), ensure_ascii=False))))
    pairs += [(name, value) for name, value in options.items() if name not in _SET_BY_US and value is not None]
    pairs += [(name, config.require(name)) for name in ("client_id", "redirect_uri")]
    pairs.append(("scope", config.scope))
    if "response_type" not in options:
        pairs.append(("response_type", "token" if client_type == "public" else "code"))
    return f"{config.authorize_url}?{encode(pairs)}"


def build_logout_url(config: Config, **options: Any) -> str:
    """The URL that ends the session at Webex and goes on to `goto` (the redirect URI without one)."""
    parameters: dict[str, Any] = {"cisService": "webex", "goto": config.redirect_uri or ""}
    parameters |= {name: value for name, value in options.items() if value is not None}
    return f"{config.logout_url}?{encode(list(parameters.items()))}"


def encode(pairs: Sequence[tuple[str, Any]]) -> str:
    """A query with `%20` for spaces; a list repeats its name."""
    flat: list[tuple[str, str]] = []
    for name, value in pairs:
        values = value if isinstance(value, list | tuple) else [value]
        flat += [(name, str(item)) for item in values]
    return "&".join(f"{quote(name, safe=_LITERAL)}={quote(value, safe=_LITERAL)}" for name, value in flat)
