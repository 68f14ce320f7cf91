"""Who is calling: tracking ids and user agents (rest §1)."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webex.config import Config


class Tracking:
    """Gives each call an id `PREFIX_UUID_N`, which its retries and redirects keep, and the user agent's names."""

    def __init__(self, config: Config) -> None:
        from webex.version import __version__

        self._session = f"{config.tracking_id_prefix}_{uuid.uuid4()}"
        self._numbers = itertools.count(1)
        app = f" {config.app_name}/{config.app_version or '0.0'}" if config.app_name else ""
        library = f"webex-python-sdk/{__version__} (python)"
        self.headers: dict[str, str] = {
            "user-agent": (app.strip() + " " + library).strip(),
            "spark-user-agent": library + app,
        }

    def next_id(self) -> str:
        """Return the next tracking id."""
        return f"{self._session}_{next(self._numbers)}"
