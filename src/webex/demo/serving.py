"""The demo app as a process of its own: `python -m webex.demo.serving PORT DATABASE`."""

from __future__ import annotations

import sys


def serve(port: int, database: str) -> None:
    """Serve the app on loopback until it is interrupted. Settings come from `WEBEX_*` variables."""
    import uvicorn

    from webex.demo.app import create_app

    app = create_app(database)
    # Access lines hold whole URLs, and those of a callback hold a code.
    # Pages listen for as long as they are open, so the end does not wait for them.
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
