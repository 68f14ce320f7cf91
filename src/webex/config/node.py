"""What the Node SDK takes in one mapping: `init({config, credentials, …})`, and its settings that do nothing here.

A setting of Node that has no effect in Python is accepted, so that a configuration can be copied; one that would change
what the program does is refused with the reason and our name for it (oauth §1).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from webex.config.spelling import did_you_mean, snake
from webex.errors import ConfigurationError

__all__ = ["IMPLICIT_GRANT", "accepts", "split_attributes"]

_logger = logging.getLogger("webex.config")

IMPLICIT_GRANT: Final = (
    'client_type "public" means the implicit grant (response_type=token) in the Node SDK: the token comes back in the '
    "URL's fragment, which browsers never send to a server, and without a refresh token. "
    'Use client_type="confidential", which asks for a code.'
)

# Parts of the Node configuration that only concern how that package works inside.
_SECTIONS: Final = frozenset(
    [
        "bnr",
        "board",
        "calendar",
        "calling",
        "contact_center",
        "conversation",
        "data_channel",
        "device",
        "device_manager",
        "devicemanager",
        "dss",
        "ediscovery",
        "encryption",
        "feature",
        "flag",
        "http",
        "interceptors",
        "llm",
        "locus",
        "logger",
        "lyra",
        "media",
        "meetings",
        "memberships",
        "mercury",
        "messages",
        "metrics",
        "new_metrics",
        "people",
        "phone",
        "presence",
        "rooms",
        "search",
        "support",
        "team",
        "user",
        "voicea",
        "wdm",
        "webhooks",
    ]
)
_IGNORED: Final = frozenset(
    {
        ("alternate_logger",),
        ("app_platform",),
        ("credentials", "activation_url"),
        ("credentials", "cis_service"),
        ("credentials", "generate_otp_url"),
        ("credentials", "saml_url"),
        ("credentials", "service"),
        ("credentials", "set_password_url"),
        ("credentials", "validate_otp_url"),
        ("email",),
        ("max_authentication_replays",),
        ("max_locus_redirects",),
        ("max_reconnect_attempts",),
        ("sdk_type",),
        ("services", "services_not_need_validation"),
        ("tracking_id_base",),
        ("tracking_id_suffix",),
    }
)


def _empty(value: Any) -> bool:
    return value is None or value is False or (hasattr(value, "__len__") and len(value) == 0)


def _confidential(value: Any) -> bool:
    return value is None or str(value).lower() == "confidential"


# Accepted with a value that means what we do anyway; refused with the reason otherwise.
_CONDITIONAL: Final[dict[tuple[str, ...], tuple[Callable[[Any], bool], str]]] = {
    ("credentials", "client_type"): (_confidential, IMPLICIT_GRANT),
    ("credentials", "jwt_refresh_callback"): (
        _empty,
        "it refreshes guest tokens of the retired guest issuer; use refresh_callback, or integration.guest(…).",
    ),
    ("device", "validate_domains"): (
        lambda value: value is not False,
        "a token is never sent to an unknown host; name further hosts in allowed_domains.",
    ),
    ("encryption", "caroots"): (_empty, "the certificates that the key service must lead to are kms_roots here."),
    ("on_before_logout",): (
        _empty,
        'there are no logout plugins; use the hook `signed_out`: client.on("signed_out", handler).',
    ),
    ("payload_transformer",): (
        lambda value: _empty(value) or (isinstance(value, Mapping) and all(_empty(each) for each in value.values())),
        "payloads are not transformed; use hooks=[…] to see every call.",
    ),
    ("services", "validate_domains"): (
        lambda value: value is not False,
        "a token is never sent to an unknown host; name further hosts in allowed_domains.",
    ),
}


def accepts(path: tuple[str, ...], value: Any, where: str) -> bool:
    """Whether this is a setting of the Node SDK that needs nothing done; `ConfigurationError` for one that can't be."""
    for known, (harmless, reason) in _CONDITIONAL.items():
        if path == known:
            if not harmless(value):
                raise ConfigurationError(f"{where} can't be taken over from Node: {reason}")
            return True
        if known[: len(path)] == path and isinstance(value, Mapping):
            for name, inner in value.items():
                if snake(str(name)) == known[-1] and len(known) == len(path) + 1:
                    accepts(known, inner, f"{where}[{name!r}]")
    if path in _IGNORED or path[0] in _SECTIONS:
        _logger.debug("%s has no effect in Python and is ignored", where)
        return True
    return False


_TOKEN: Final = (
    "access_token",
    "refresh_token",
    "supertoken",
    "authorization",
    "credentials",
    "token_type",
    "scope",
    "expires",
    "expires_in",
    "expires_at",
    "issued_at",
    "id_token",
    "refresh_token_expires",
    "refresh_token_expires_in",
    "refresh_token_expires_at",
    "user_tokens",
)
_ATTRIBUTES: Final = ("config", *_TOKEN)
_SETTINGS: Final = frozenset(
    {"client_id", "client_secret", "redirect_uri", "authorization_string", "authorize_url", "refresh_callback"}
)


def split_attributes(given: Any, config: Any) -> tuple[Any, Any]:
    """Split a client's first argument, as the Node SDK's `init(attrs)` takes it, into token and configuration.

    Names may be in camelCase. An unknown name is refused with the nearest known one; in a token endpoint's answer,
    which may carry further fields, only one that looks like a misspelled known one.
    """
    if not isinstance(given, Mapping):
        return given, config
    attributes = _named(given, _ATTRIBUTES, "credentials", config_hint=True)
    inner = attributes.pop("config", None)
    if inner is not None:
        if config is not None and config is not inner:
            raise ConfigurationError("config is given twice, as an argument and in the first mapping. Give it once.")
        config = inner
    return (attributes or None), config


def _named(
    given: Mapping[Any, Any], known: tuple[str, ...], where: str, *, config_hint: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = {str(name): snake(str(name)) for name in given}
    answer = "access_token" in names.values() and bool({"expires_in", "token_type"} & set(names.values()))
    for raw, value in given.items():
        name = names[str(raw)]
        if name in found:
            raise ConfigurationError(f"{where} names {name} twice, in two spellings. Give it once.")
        if name not in known:
            _refuse(str(raw), name, known, where, answer)
            continue
        if name in ("credentials", "supertoken", "authorization") and isinstance(value, Mapping):
            value = _named(value, _TOKEN, f"{where}[{raw!r}]" if config_hint else where)
        found[name] = value
    return found


def _refuse(raw: str, name: str, known: tuple[str, ...], where: str, answer: bool) -> None:
    if name in _SETTINGS:
        raise ConfigurationError(
            f"{where} has {raw!r}, which is a setting and no part of a token: "
            f'give it as config={{"credentials": {{"{name}": …}}}}, or as the argument {name}=….'
        )
    if name in ("storage", "hooks"):
        raise ConfigurationError(f"{where} has {raw!r}: give it as {name}=…, or inside config.")
    hint = did_you_mean(raw, known)
    if answer and not hint.startswith(" Did you mean"):
        return  # a field that a token endpoint added (RFC 6749 §5.1: to be ignored)
    raise ConfigurationError(f"{where} has no member {raw!r}.{hint}")
