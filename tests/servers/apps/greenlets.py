"""Many greenlets call at once, in a process that gevent has patched; prints what came and how many ran together."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from webex import Webex  # noqa: E402

under_way: set[int] = set()
together: list[int] = []

with Webex("t", emulator_url=sys.argv[1]) as webex:

    def call(number: int) -> int:
        under_way.add(number)
        together.append(len(under_way))
        try:
            return webex.request("GET", "/rooms", timeout=20).status
        finally:
            under_way.discard(number)

    jobs = [gevent.spawn(call, number) for number in range(10)]
    gevent.joinall(jobs, raise_error=True)
print(json.dumps({"statuses": [job.value for job in jobs], "together": max(together)}))
