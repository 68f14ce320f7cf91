"""What a call to the emulator costs on a kept connection, with the cloud in a process of its own."""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

from webex import Webex
from webex.emulator import accounts


def measure(count: int) -> dict[str, float]:
    """Median seconds of one `people.me`: over a bare connection, and with our blocking client."""
    child = subprocess.Popen([sys.executable, "-c", _CLOUD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        url = child.stdout.readline().strip()
        return {"http.client": _bare(url, count), "webex, blocking": _ours(url, count)}
    finally:
        child.communicate()


_CLOUD = """
import sys
from webex.emulator import Emulator
with Emulator() as cloud:
    print(cloud.url, flush=True)
    sys.stdin.read()
"""


def _bare(url: str, count: int) -> float:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
    headers = {"authorization": f"Bearer {accounts.ALICE_TOKEN}"}
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", "/v1/people/me", headers=headers)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times)


def _ours(url: str, count: int) -> float:
    times = []
    with Webex(accounts.ALICE_TOKEN, emulator_url=url) as alice:
        for _ in range(count):
            began = time.perf_counter()
            alice.people.me()
            times.append(time.perf_counter() - began)
    return statistics.median(times)
