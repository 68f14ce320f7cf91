"""A worker that is killed with one event in hand and others waiting: `python killed_worker.py DATABASE`.

It receives the bodies that it reads from its standard input, and says when its first handler has begun.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from webex import Webex
from webex.storage import SQLiteStorage
from webex.webhooks import ReceivedEvent, WebhookReceiver


def tell(line: str) -> None:
    """Write a line at once, as one piece: two threads write."""
    os.write(1, f"{line}\n".encode())


def main(database: str) -> None:
    hooks = WebhookReceiver(
        Webex("a token"), secret="the secret of this webhook", storage=SQLiteStorage(database), concurrency=1, lease=1.0
    )

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        tell(f"begun {event.raw['id']}")
        threading.Event().wait()

    for line in sys.stdin:
        body, headers = json.loads(line)
        tell(f"answered {hooks.receive(body.encode(), headers).status}")


if __name__ == "__main__":
    main(sys.argv[1])
