"""One frozen `Config`: every setting, and where each value came from.

Three levels, the higher wins: what the program gives (arguments and the nested mapping of the Node guide, which may not
contradict each other), `WEBEX_*` variables, `CISCOSPARK_*` variables. Whatever none of them sets has a default.
A client secret is only used together with a client id of its own level, so that a secret never goes to another app.
"""

from __future__ import annotations

from webex.config.load import load_config
from webex.config.model import Config, Environment
from webex.config.values import is_loopback_host

__all__ = ["Config", "Environment", "is_loopback_host", "load_config"]
