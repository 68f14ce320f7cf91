"""webexpythonsdk 2.0.6: blocking, over requests. At once means threads that share one client."""

from __future__ import annotations

import logging
import sys
from typing import Any

from lines import Timer, in_threads, measure_views, serve
from webexpythonsdk import WebexAPI

logging.disable(logging.WARNING)  # urllib3 tells of each connection that its small pool drops
BASE = f"{sys.argv[1]}/v1/"  # without the last slash it would drop the last part


def client() -> WebexAPI:
    return WebexAPI(access_token="user0_A52D_0", base_url=BASE)


shared = client()


def sequential(n: int) -> dict[str, Any]:
    with Timer() as timer:
        for _ in range(n):
            shared.people.me()
    return {"seconds": timer.seconds}


def listing(size: int) -> dict[str, Any]:
    with Timer() as timer:
        count = sum(1 for _ in shared.rooms.list(max=size))
    return {"seconds": timer.seconds, "count": count}


serve(
    {
        "view": lambda n: measure_views(client, n),
        "sequential": sequential,
        "concurrent": lambda n, at_once: in_threads(shared.people.me, n, at_once),
        "list": listing,
    }
)
