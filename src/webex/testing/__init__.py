"""Testing an app that uses the SDK: the pytest plugin's fixtures, and the emulator behind them.

The plugin is there as soon as the package is installed: `def test_inbox(webex_cloud): …`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.emulator import Cloud, Emulator, EmulatorClient
    from webex.testing.guard import NetworkLeftError, stay_on_loopback
    from webex.testing.transport import EmulatorTransport

__all__ = ["Cloud", "Emulator", "EmulatorClient", "EmulatorTransport", "NetworkLeftError", "stay_on_loopback"]

_LAZY_EXPORTS = {
    "Cloud": "webex.emulator",
    "Emulator": "webex.emulator",
    "EmulatorClient": "webex.emulator",
    "EmulatorTransport": "webex.testing.transport",
    "NetworkLeftError": "webex.testing.guard",
    "stay_on_loopback": "webex.testing.guard",
}


def __getattr__(name: str) -> Any:
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
