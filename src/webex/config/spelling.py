"""Names as other Webex libraries and the wire spell them, and the nearest of ours for one that is unknown."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

# What other Webex libraries call a setting → ours.
SYNONYMS: Final[dict[str, str]] = {
    "adapter": "storage",
    "base_url": "service_urls={'hydra': …}",
    "bearer": "access_token",
    "bearer_token": "access_token",
    "bot_token": "access_token",
    "callback_url": "redirect_uri",
    "personal_access_token": "access_token",
    "proxies": "proxy",
    "redirect_url": "redirect_uri",
    "retries": "max_retries",
    "scopes": "scope",
    "secret": "client_secret",
    "single_request_timeout": "timeout",
    "token": "access_token",
    "webex_teams_access_token": "access_token",
    "api_key": "access_token",
    "verify": "ca_bundle",
}


def snake(name: str) -> str:
    """`clientId`, `clientID` and `ClientId` as `client_id`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\s-]+", "_", parted).lower()


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that a misspelled or foreign name most likely means."""
    known = list(options)
    spelled = snake(name)
    if spelled in known:
        return spelled
    if spelled in SYNONYMS and SYNONYMS[spelled].partition("=")[0] in known:
        return SYNONYMS[spelled]
    joined = {option.replace("_", ""): option for option in known}
    if spelled.replace("_", "") in joined:
        return joined[spelled.replace("_", "")]
    return next(iter(difflib.get_close_matches(spelled, known, n=1)), None)


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return a suggestion for the end of an error message."""
    known = sorted(set(options))
    close = nearest(name, known)
    return f" Did you mean {close!r}?" if close else f" Known: {', '.join(known)}."
