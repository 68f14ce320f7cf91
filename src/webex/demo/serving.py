"""The demo app as a process of its own: `python -m webex.demo.serving PORT DATABASE`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any


def serve(port: int, database: str, on_ready: Callable[[], object] = lambda: None) -> None:
    """Serve the app on loopback until it is interrupted; call `on_ready` when it takes connections.

    Settings come from `WEBEX_*` variables.
    """
    import uvicorn

    from webex.demo.app import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_ready()

    app = create_app(database)
    # Access lines hold whole URLs, and those of a callback hold a code.
    # Pages listen for as long as they are open, so the end does not wait for them.
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, access_log=False, log_level="warning", timeout_graceful_shutdown=1
    )
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
