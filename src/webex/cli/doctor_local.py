"""What `webex doctor` examines without the cloud: versions, settings, names of variables, the storage."""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
import platform
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import click

from webex.cli.addresses import KEYS_VARIABLE, opened
from webex.cli.findings import Report
from webex.cli.storage_checks import capabilities_of, server_facts, server_problems, tried
from webex.config import Config, is_loopback_host, load_config
from webex.config.model import VARIABLES
from webex.config.spelling import SYNONYMS
from webex.errors import ConfigurationError, WebexError
from webex.extras import EXTRAS
from webex.storage.reserved import MovedError
from webex.version import __version__

__all__ = ["examine_configuration", "examine_storage", "examine_versions"]

# What else is read from the environment: by commands, by bots, by examples of the documentation.
_OTHERS: Final = frozenset(
    {
        "BOT_SECRET",
        "BOT_TOKEN",
        "DEV_CACHE",
        "EMULATOR_HTTP_URL",
        "LOG_LEVEL",
        "SESSION_SECRET",
        "STORAGE",
        "STORAGE_KEYS",
        "WEBHOOK_SECRET",
    }
)
_SECRET: Final = frozenset({"client_secret", "access_token", "refresh_token"})
_CORE: Final = ("aiohttp", "urllib3", "msgspec", "cryptography", "joserfc", "websockets")
# The distribution of a module, where it has another name.
_DISTRIBUTIONS: Final = {
    "PIL": "pillow",
    "key_value": "py-key-value-aio",
    "nats": "nats-py",
    "opentelemetry": "opentelemetry-api",
    "python_multipart": "python-multipart",
}
_SKEW: Final = 5.0  # seconds between two clocks that are no problem


def examine_versions(report: Report) -> None:
    """Say which versions of the SDK, of Python, and of the packages of installed extras are there."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    report.ok("versions", f"webex {__version__}, {python}, {platform.system()}", webex=__version__, python=python)
    packages = {name: _version(name) for name in _CORE}
    extras = {module: _version(module) for module in EXTRAS if importlib.util.find_spec(module) is not None}
    for name, found in packages.items():
        if found is None:
            report.problem(
                "versions", f"{name} is not installed, which the SDK needs", "Install again: pip install webex."
            )
    shown = ", ".join(f"{name} {found}" for name, found in packages.items() if found)
    report.ok("versions", f"packages: {shown}", packages=packages)
    by_extra: dict[str, list[str]] = {}
    for module, found in extras.items():
        by_extra.setdefault(EXTRAS[module], []).append(f"{module} {found or '?'}")
    listed = "; ".join(f"{extra} ({', '.join(modules)})" for extra, modules in sorted(by_extra.items()))
    report.ok("versions", f"extras: {listed or 'none'}", extras=extras)


def _version(module: str) -> str | None:
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(module, module))
    except importlib.metadata.PackageNotFoundError:
        return None


def examine_configuration(report: Report, environ: Mapping[str, str]) -> Config | None:
    """Settle the settings of the environment; return None when they contradict each other or are wrong."""
    _examine_names(report, environ)
    try:
        config, _ = load_config(environ=environ)
    except ConfigurationError as error:
        report.problem("configuration", str(error), "Correct what the message names; nothing was asked of the cloud.")
        return None
    settings = {name: {"value": _shown(config, name), "from": config.origin(name)} for name in config.origins}
    for name, each in sorted(settings.items()):
        report.ok("configuration", f"{name} = {each['value']}  ({each['from']})", setting=name, **each)
    if not settings:
        report.note("configuration", "No setting is given; all have their defaults.")
    _examine_settings(report, config)
    return config


def _shown(config: Config, name: str) -> Any:
    value = getattr(config, name, None)
    if name in _SECRET:
        return "(set)" if value else "(not set)"
    if name == "proxy":
        return without_login(value) if isinstance(value, str) else value
    return value


def without_login(url: str) -> str:
    """Return the URL of a proxy without user name and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _examine_names(report: Report, environ: Mapping[str, str]) -> None:
    known = {suffix for suffixes in VARIABLES.values() for suffix in suffixes} | _OTHERS
    for variable in sorted(environ):
        prefix, _, suffix = variable.partition("_")
        if prefix not in ("WEBEX", "CISCOSPARK") or not suffix or suffix in known or suffix.startswith("TEST_"):
            continue
        meant = _meant(suffix, known)
        if meant is not None:
            report.problem(
                "configuration", f"{variable} is read by nothing", f"Did you mean {prefix}_{meant}?", variable=variable
            )
        else:
            report.note("configuration", f"{variable} is read by nothing of the SDK: is it one of your app's own?")


def _meant(suffix: str, known: set[str]) -> str | None:
    for name, suffixes in VARIABLES.items():
        if SYNONYMS.get(suffix.lower()) == name:
            return suffixes[0]
    near = difflib.get_close_matches(suffix, sorted(known), n=1, cutoff=0.8)
    return near[0] if near else None


def _examine_settings(report: Report, config: Config) -> None:
    for name, hint in config.hints.items():
        if not getattr(config, name):
            report.problem("configuration", f"{name} is not used. {hint}", "Set both in one place, or neither.")
    if config.client_id and not config.client_secret and "client_secret" not in config.hints:
        report.problem(
            "configuration",
            "client_id is set and client_secret is not: no token can be refreshed",
            "Set WEBEX_CLIENT_SECRET to the secret of the same app, or unset WEBEX_CLIENT_ID.",
        )
    if config.redirect_uri is not None:
        parts = urlsplit(config.redirect_uri)
        if parts.scheme == "http" and not is_loopback_host(parts.hostname):
            report.problem(
                "configuration",
                f"redirect_uri is plain http to {parts.hostname}: authorization codes can be read on the way",
                "Serve the app over https, register that address with the app, and set WEBEX_REDIRECT_URI to it.",
            )
    if config.emulator_url is not None:
        report.note(
            "configuration", f"An emulator is used: {config.emulator_url}", "For Webex: unset WEBEX_EMULATOR_URL."
        )


def examine_storage(report: Report, address: str | None) -> None:
    """Try the storage, compare its clock with this machine's, and ask its server for the settings of durability."""
    if not address:
        report.note("storage", "No storage was examined.", "Give --storage ADDRESS, or set WEBEX_STORAGE.")
        return
    try:
        with opened(address) as access:
            steps, problems = tried(access)
            can = capabilities_of(access)
            took = {name: round(seconds * 1000, 2) for name, seconds in steps.items()}
            report.ok("storage", f"{access.storage!r} can do: {', '.join(can) or 'the four plain calls'}", can=can)
            times = ", ".join(f"{name} {each:g} ms" for name, each in took.items())
            report.ok("storage", f"median of 20 calls: {times}", milliseconds=took)
            for what, remedy in problems:
                report.problem("storage", f"{access.storage!r}: {what}", remedy)
            _examine_server(report, access.storage)
    except (click.ClickException, WebexError, ImportError) as error:
        what = error.format_message() if isinstance(error, click.ClickException) else str(error)
        if isinstance(error, MovedError):
            report.problem("storage", what, "Name the storage that the values were moved to.")
            return
        if isinstance(error, ConfigurationError):
            report.problem("storage", what, "Correct what the message names.")
            return
        report.problem(
            "storage",
            what,
            "See that the server runs and this machine reaches it, and that the address, the login and the keys "
            f"({KEYS_VARIABLE}) are right; tables are made by: webex storage migrate.",
        )


def _examine_server(report: Report, storage: Any) -> None:
    facts = server_facts(storage)
    now = time.time()
    if facts is None:
        report.note("storage", "It has no server that tells its clock and settings.")
        return
    ahead = facts.time - now
    if abs(ahead) > _SKEW:
        report.problem(
            "storage",
            f"The clock of its server is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's",
            "Synchronise both machines (NTP). Leases go by the storage's clock, tokens expire by this machine's.",
            skew=ahead,
        )
    else:
        report.ok("storage", f"The clock of its server differs by {abs(ahead):.1f} s", skew=ahead)
    if facts.kind != "sqlite" and not facts.settings:
        report.note(
            "storage",
            "The server does not permit to read its settings (CONFIG), so its durability was not examined.",
            "Look in the provider's console: an append-only file, and no eviction (maxmemory-policy noeviction).",
        )
    problems = server_problems(facts)
    for what, remedy in problems:
        report.problem("storage", what, remedy, settings=dict(facts.settings))
    if facts.settings and not problems:
        shown = ", ".join(f"{name} = {value or 'empty'}" for name, value in facts.settings.items())
        report.ok("storage", f"durability: {shown}", settings=dict(facts.settings))
