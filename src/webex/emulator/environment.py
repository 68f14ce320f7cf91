"""The variables that point a client at an emulator."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from webex.emulator import accounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webex.emulator.cloud import Cloud


# What a real account may have left in a shell, and what would contradict the emulator's variables.
CONTRADICTING: Final = (
    "WEBEX_AUTHORIZATION_STRING",
    "WEBEX_AUTHORIZE_URL",
    "WEBEX_ENVIRONMENT",
    "WEBEX_REFRESH_TOKEN",
    "WEBEX_SCOPES",
)


def environment(cloud: Cloud) -> dict[str, str]:
    """Variables for the SDK: where the emulator is, and its well-known token, bot and integration."""
    variables = {
        "WEBEX_EMULATOR_URL": cloud.tls_url or cloud.url,
        "WEBEX_ACCESS_TOKEN": accounts.ALICE_TOKEN,
        "WEBEX_BOT_TOKEN": accounts.BOT_TOKEN,
        "WEBEX_CLIENT_ID": accounts.CLIENT_ID,
        "WEBEX_CLIENT_SECRET": accounts.CLIENT_SECRET,
        "WEBEX_REDIRECT_URI": accounts.REDIRECT_URIS[0],
        "WEBEX_SCOPE": "openid email profile spark:all spark:kms",
    }
    if cloud.ca_file is not None:
        variables["WEBEX_EMULATOR_CA"] = str(cloud.ca_file)
    if cloud.tls_url is not None:
        variables["WEBEX_EMULATOR_HTTP_URL"] = cloud.url  # the same cloud without TLS
    return variables


def inherited(present: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process: the present one with the emulator's variables and none against them."""
    return {name: value for name, value in present.items() if name not in CONTRADICTING} | dict(variables)


@contextmanager
def applied(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process until the block ends."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def shell_exports(variables: Mapping[str, str], present: Mapping[str, str] | None = None) -> str:
    """Lines for a POSIX shell's `eval`; what is `present` and contradicts the variables is unset."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    return "".join([*lines, *(f"unset {name}\n" for name in CONTRADICTING if name in (present or {}))])
