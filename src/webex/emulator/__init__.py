"""A local Webex cloud: the real wire formats and rules, on this machine, with no account and no network.

```python
from webex.emulator import Emulator

with Emulator() as cloud:
    print(cloud.url, cloud.env["WEBEX_ACCESS_TOKEN"])
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.emulator.client import EmulatorClient, EmulatorError
    from webex.emulator.cloud import Cloud
    from webex.emulator.emulator import Emulator
    from webex.emulator.server import PortInUseError
    from webex.emulator.settings import Settings

__all__ = ["Cloud", "Emulator", "EmulatorClient", "EmulatorError", "PortInUseError", "Settings"]

_HOMES = {
    "Cloud": "webex.emulator.cloud",
    "Emulator": "webex.emulator.emulator",
    "EmulatorClient": "webex.emulator.client",
    "EmulatorError": "webex.emulator.client",
    "PortInUseError": "webex.emulator.server",
    "Settings": "webex.emulator.settings",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
