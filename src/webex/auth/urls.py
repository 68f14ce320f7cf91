"""The URLs that a browser is sent to (oauth §6)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from webex.config.node import IMPLICIT_GRANT
from webex.config.spelling import nearest, snake
from webex.errors import ConfigurationError, UnknownArgumentError
from webex.ids import base64url_encode

if TYPE_CHECKING:
    from webex.config import Config

_UNSAFE: Final = re.compile(r"[ \"<>\\^`{|}]")
_LITERAL: Final = "-_.!~*'()"
_SET_BY_US: Final = ("client_id", "redirect_uri", "scope")
_OPTIONS: Final = ("client_type", "state", "response_type", "login_hint", "prompt", *_SET_BY_US)
_URL_CHARACTERS: Final = "%!#$&'()*+,/:;=?@[]~"  # the reserved ones of RFC 3986 §2.2, and what is encoded already


def percent_encode(url: str) -> str:
    """Encode every character that may not stand in a URL, as UTF-8; what is encoded already stays (RFC 3987 §3.1)."""
    if url.isascii() and url.isprintable() and not _UNSAFE.search(url):
        return url
    return quote(url.encode("utf-8", "surrogatepass").decode("utf-8", "replace"), safe=_URL_CHARACTERS)


def build_login_url(config: Config, options: Mapping[str, Any] | None = None, /, **more: Any) -> str:
    """Build the consent page's URL: pure, no I/O, no PKCE; the state is the caller's.

    `options` (a mapping, or keyword arguments; in snake_case, or in camelCase as in the Node SDK) are `client_type`,
    `state` (a mapping, sent as base64url of its JSON, left out when empty), and parameters of the authorization
    endpoint such as `login_hint`. The URL always asks for a code: `client_type="public"`, which asks for a token in the
    Node SDK (the implicit grant), is a `ConfigurationError`.
    """
    given = _spelled(options, more, "build_login_url")
    client_type, response_type = given.pop("client_type", None), given.pop("response_type", "code")
    if client_type == "public" or response_type == "token":
        raise ConfigurationError(IMPLICIT_GRANT)
    if client_type not in (None, "confidential"):
        raise ConfigurationError(f'client_type is {client_type!r}; the only one is "confidential".')
    state = given.pop("state", None)
    if state is not None and not isinstance(state, Mapping):
        raise ConfigurationError("if specified, `state` must be a mapping; it is sent as base64url of its JSON.")
    pairs: list[tuple[str, Any]] = []
    if state:
        pairs.append(("state", base64url_encode(json.dumps(state, separators=(",", ":"), ensure_ascii=False))))
    pairs += [(name, value) for name, value in given.items() if name not in _SET_BY_US and value is not None]
    pairs += [(name, config.require(name)) for name in ("client_id", "redirect_uri")]
    pairs += [("scope", config.scope), ("response_type", response_type)]
    return f"{config.authorize_url}?{encode(pairs)}"


def build_logout_url(config: Config, options: Mapping[str, Any] | None = None, /, **more: Any) -> str:
    """Build the URL that ends the session at Webex and goes on to `goto` (the redirect URI without one)."""
    parameters: dict[str, Any] = {"cisService": "webex", "goto": config.redirect_uri or ""}
    parameters |= {name: value for name, value in {**(options or {}), **more}.items() if value is not None}
    return f"{config.logout_url}?{encode(list(parameters.items()))}"


def _spelled(options: Mapping[str, Any] | None, more: Mapping[str, Any], call: str) -> dict[str, Any]:
    """Rename options to snake_case; parameters that are not named here pass unchanged."""
    if options is not None and not isinstance(options, Mapping):
        raise ConfigurationError(f"the options of {call} are a mapping, not {type(options).__name__}.")
    found: dict[str, Any] = {}
    for raw, value in (*(options or {}).items(), *more.items()):
        name = raw
        if raw not in _OPTIONS and raw != snake(raw):
            name = snake(raw) if snake(raw) in _OPTIONS else raw
        if name not in _OPTIONS and (close := nearest(raw, ("client_type", "response_type"))):
            raise ConfigurationError(f"{call} has no option {raw!r}. Did you mean {close!r}?")
        if name in found and found[name] != value:
            raise ConfigurationError(f"{call} got {name} twice with different values. Give it once.")
        found[name] = value
    return found


def refuse_misspelled(options: Mapping[str, Any]) -> None:
    """Refuse parameters for the consent page that are arguments of `begin_login`, spelled otherwise."""
    for name in options:
        if meant := nearest(name, ("browser", "return_to", "user_key", "scope")):
            raise UnknownArgumentError(f"begin_login() has no argument {name!r}. Use {meant}=.")


def encode(pairs: Sequence[tuple[str, Any]]) -> str:
    """Encode a query with `%20` for spaces; a list repeats its name."""
    flat: list[tuple[str, str]] = []
    for name, value in pairs:
        values = value if isinstance(value, list | tuple) else [value]
        flat += [(name, str(item)) for item in values]
    return "&".join(f"{quote(name, safe=_LITERAL)}={quote(value, safe=_LITERAL)}" for name, value in flat)
