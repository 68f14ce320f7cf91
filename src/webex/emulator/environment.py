"""The variables that point a client at an emulator."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from webex.emulator import accounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webex.emulator.cloud import Cloud


def environment(cloud: Cloud) -> dict[str, str]:
    """Variables for the SDK: where the emulator is, and its well-known token, bot and integration."""
    variables = {
        "WEBEX_EMULATOR_URL": cloud.tls_url or cloud.url,
        "WEBEX_ACCESS_TOKEN": accounts.ALICE_TOKEN,
        "WEBEX_BOT_TOKEN": accounts.BOT_TOKEN,
        "WEBEX_CLIENT_ID": accounts.CLIENT_ID,
        "WEBEX_CLIENT_SECRET": accounts.CLIENT_SECRET,
        "WEBEX_REDIRECT_URI": accounts.REDIRECT_URIS[0],
        "WEBEX_SCOPE": "openid spark:all",
    }
    if cloud.ca_file is not None:
        variables["WEBEX_EMULATOR_CA"] = str(cloud.ca_file)
    return variables


def shell_exports(variables: Mapping[str, str]) -> str:
    """Lines for a POSIX shell's `eval`."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
