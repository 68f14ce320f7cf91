"""urllib3 alone: one request and its JSON, nothing else. The floor under the blocking style."""

from __future__ import annotations

import sys
from typing import Any

import urllib3
from lines import Timer, in_threads, serve

URL = f"{sys.argv[1]}/v1/people/me"
HEADERS = {"Authorization": "Bearer user0_A52D_0", "Accept": "application/json"}
pool = urllib3.PoolManager(headers=HEADERS, maxsize=100, retries=False)


def me() -> Any:
    return pool.request("GET", URL).json()


def sequential(n: int) -> dict[str, Any]:
    with Timer() as timer:
        for _ in range(n):
            me()
    return {"seconds": timer.seconds}


serve({"sequential": sequential, "threads": lambda n, at_once: in_threads(me, n, at_once)})
