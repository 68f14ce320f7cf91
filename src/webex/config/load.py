"""Settle the levels against each other and derive every URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from webex.config.model import Config, check
from webex.config.proxies import ProxyRules, bypasses_of, explicit_rules, rules_of_environment
from webex.config.sources import expand_authorization_string, from_environment, given
from webex.config.values import base_url, is_loopback_host, scope, split_url, texts
from webex.errors import ConfigurationError

# Where the cloud lives (developer.webex.com integrations guide; oauth §1).
_CLOUDS: Final[dict[str, dict[str, str]]] = {
    "production": {
        "hydra": "https://webexapis.com/v1",
        "u2c": "https://u2c.wbx2.com/u2c/api/v1",
        "idbroker": "https://idbroker.webex.com",
        "identity": "https://identity.webex.com",
    },
    "fedramp": {
        "hydra": "https://api-usgov.webex.com/v1",
        "u2c": "https://u2c.gov.ciscospark.com/u2c/api/v1",
        "idbroker": "https://idbroker-f.webex.com",
        "identity": "https://identity-f.webex.com",
    },
}
_DOMAINS: Final[dict[str, tuple[str, ...]]] = {
    "production": (
        "wbx2.com",
        "ciscospark.com",
        "webex.com",
        "webexapis.com",
        "broadcloudpbx.com",
        "broadcloud.eu",
        "broadcloud.com.au",
        "broadcloudpbx.net",
    ),
    "fedramp": ("api-usgov.webex.com", "idbroker-f.webex.com", "identity-f.webex.com", "gov.ciscospark.com"),
}
# An ID token is issued by the region of the person's organization.
_REGIONS: Final = ("", "-b-us", "-eu", "-ca", "-sg", "-in", "-ae", "-au")


def load_config(
    arguments: Mapping[str, Any] | None = None,
    mapping: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> tuple[Config, dict[str, Any]]:
    """Settle every setting; what is no plain setting (`storage`, `credentials`, …) is given back beside the config.

    `arguments` that are None count as not given. `mapping` is nested as in the Node guide, with snake_case or camelCase
    names. Raises `ConfigurationError` for an unknown name, a wrong type, or two values that contradict.
    """
    explicit, explicit_origins, rest = given(arguments or {}, {} if mapping is None else mapping)
    environment = os.environ if environ is None else environ
    levels: list[tuple[dict[str, Any], dict[str, str]]] = [(explicit, explicit_origins)]
    for prefix in ("WEBEX", "CISCOSPARK"):
        levels.append(from_environment(environment, prefix))
    for values, origins in levels:
        expand_authorization_string(values, origins)

    settled: dict[str, Any] = {}
    origins_of: dict[str, str] = {}
    hints: dict[str, str] = {}
    for values, origins in levels:
        for name, value in values.items():
            if name in settled or name == "client_secret":
                continue
            settled[name] = value
            origins_of[name] = origins[name]
    _pair_the_secret(levels, settled, origins_of, hints)
    proxies = _proxies(settled, origins_of, environment)
    config = Config(**_resolve(settled, origins_of), origins=origins_of, hints=hints, proxies=proxies)
    check(config)
    return config, rest


def _proxies(settled: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> ProxyRules:
    proxy = settled.get("proxy")
    if proxy is None:
        rules, origin = rules_of_environment(environ)
        if rules.https is not None or rules.http is not None:
            settled["proxy"] = rules.https or rules.http
            origins["proxy"] = origin
        return rules
    named_by_variable = origins["proxy"].endswith("_PROXY")
    return explicit_rules(proxy, origins["proxy"], bypasses_of(environ) if named_by_variable else ())


def _pair_the_secret(
    levels: list[tuple[dict[str, Any], dict[str, str]]],
    settled: dict[str, Any],
    origins_of: dict[str, str],
    hints: dict[str, str],
) -> None:
    client_id = settled.get("client_id")
    for index, (values, origins) in enumerate(levels):
        secret = values.get("client_secret")
        if secret is None:
            continue
        own_id = values.get("client_id")
        if index == 0 and client_id is not None and own_id is None:
            raise ConfigurationError(
                f"client_secret ({origins['client_secret']}) would be used with the client_id of "
                f"{origins_of['client_id']}. A secret is only used with the client id it was given with: pass both."
            )
        if client_id is None or own_id == client_id:
            settled["client_secret"] = secret
            origins_of["client_secret"] = origins["client_secret"]
            return
        hints.setdefault(
            "client_secret",
            f"{origins['client_secret']} is set, but the client_id in use comes from {origins_of['client_id']}: "
            "a secret is only used with the client id it was given with, so give both in one place.",
        )


def _resolve(settled: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    values = dict(settled)
    values["scope"] = scope(values.get("scope", ""), origins.get("scope", "scope"))
    environment = values.get("environment", "production")
    if not isinstance(environment, str) or environment not in _CLOUDS:
        raise ConfigurationError(
            f"environment is {environment!r} ({origins['environment']}); it is 'production' or 'fedramp'."
        )
    for name in ("allowed_domains", "emulator_hosts", "issuers"):
        if name in values:
            values[name] = texts(values[name], name, origins[name])
    urls = dict(_CLOUDS[environment])
    emulator = values.get("emulator_url")
    if emulator is not None:
        hosts = values.get("emulator_hosts", ())
        parts = split_url(emulator)
        named = None if parts is None else parts.hostname
        if named is not None and not is_loopback_host(named) and named not in hosts:
            raise ConfigurationError(
                f"emulator_url ({origins['emulator_url']}) names the host {named!r}, which is not this machine, and "
                f"tokens would go there. If that is meant, allow it: emulator_hosts=[{named!r}]."
            )
        emulator = base_url(emulator, "emulator_url", origins["emulator_url"], hosts)
        if emulator.endswith("/v1"):
            raise ConfigurationError(
                f"emulator_url ({origins['emulator_url']}) is {emulator!r}; it is the root, which /v1 is below: "
                f"{emulator.removesuffix('/v1')!r}."
            )
        values["emulator_url"] = emulator
        urls = {
            "hydra": f"{emulator}/v1",
            "u2c": f"{emulator}/u2c/api/v1",
            "idbroker": emulator,
            "identity": emulator,
        }
    overrides = values.get("service_urls", {})
    if not isinstance(overrides, Mapping):
        raise ConfigurationError(f"service_urls must map service names to URLs, not be {type(overrides).__name__}.")
    for name, url in overrides.items():
        urls[name] = base_url(url, f"service_urls[{name!r}]", origins["service_urls"], values.get("emulator_hosts", ()))
    values["service_urls"] = urls
    broker, hydra = urls["idbroker"], urls["hydra"]
    values["allowed_domains"] = (
        *values.get("allowed_domains", ()),
        *(() if emulator is not None else _DOMAINS[environment]),
    )
    root = hydra if environment == "production" else f"{broker}/idb/oauth2/v1"
    defaults = {
        "authorize_url": f"{root}/authorize",
        "token_url": f"{root}/access_token",
        "revoke_url": f"{broker}/idb/oauth2/v1/revoke",
        "logout_url": f"{broker}/idb/oauth2/v1/logout",
        "jwks_url": f"{broker}/idb/oauth2/v2/keys/verificationjwk",
        "userinfo_url": f"{hydra}/userinfo",
        "device_authorize_url": f"{hydra}/device/authorize",
        "device_token_url": f"{hydra}/device/token",
    }
    for name, url in defaults.items():
        if name in values:
            url = base_url(values[name], name, origins[name], values.get("emulator_hosts", ()))
        values[name] = url
    if "issuers" not in values:
        hosts = (
            [broker]
            if emulator is not None or environment == "fedramp" or "idbroker" in overrides
            else [f"https://idbroker{region}.webex.com" for region in _REGIONS]
        )
        values["issuers"] = tuple(f"{host}/idb" for host in hosts)
    return values
