"""What importing costs: each sample is a fresh interpreter, contestants in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.arena import WEBEX, WEBEXPYTHONSDK, WXC_SDK
from tools.environments import make

_MEASURE = """
import time, sys
began = time.perf_counter()
{statement}
seconds = time.perf_counter() - began
import json, os
with open("/proc/self/statm") as file:
    resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
known = {{"pyreqwest", "urllib3", "requests", "aiohttp", "httpx", "http"}}
libraries = sorted({{name.split(".")[0] for name in sys.modules}} & known)
print(json.dumps([seconds, resident, libraries]))
"""


@dataclass(frozen=True)
class Start:
    """A statement, the medians of what it took, and which HTTP libraries it loaded."""

    label: str
    milliseconds: float
    megabytes: float
    libraries: list[str]


def measure(url: str, samples: int) -> list[Start]:
    """Time and memory above bare Python of the imports, and of the way to the first answer."""
    ours, first = sys.executable, {}
    cloud = {"hydra": f"{url}/v1"}
    statements: dict[str, tuple[str, str]] = {
        "bare Python": (ours, "pass"),
        "`import webex`": (ours, "import webex"),
        "`from webex import Webex`": (ours, "from webex import Webex"),
        "`from webex import AsyncWebex`": (ours, "from webex import AsyncWebex"),
        "`from webex.bots import Bot`": (ours, "from webex.bots import Bot"),
        f"import {WEBEXPYTHONSDK}": (str(make("webexpythonsdk")), "import webexpythonsdk"),
        f"import {WXC_SDK}": (str(make("wxc-sdk")), "from wxc_sdk.as_api import AsWebexSimpleApi"),
    }
    first[f"first call, {WEBEX}"] = (
        ours,
        f"from webex import Webex; Webex('user0_A52D_0', service_urls={cloud}).people.me()",
    )
    first[f"first call, {WEBEX}, event loop"] = (
        ours,
        "import asyncio\nfrom webex import AsyncWebex\nasync def main():\n"
        f" async with AsyncWebex('user0_A52D_0', service_urls={cloud}) as client: await client.people.me()\n"
        "asyncio.run(main())",
    )
    first[f"first call, {WEBEXPYTHONSDK}"] = (
        str(make("webexpythonsdk")),
        f"from webexpythonsdk import WebexAPI; WebexAPI('user0_A52D_0', base_url={url + '/v1/'!r}).people.me()",
    )
    first[f"first call, {WXC_SDK}"] = (
        str(make("wxc-sdk")),
        "import asyncio\nfrom wxc_sdk.as_rest import AsRestSession\n"
        f"AsRestSession.BASE = {url + '/v1'!r}\n"
        "from wxc_sdk.as_api import AsWebexSimpleApi\nasync def main():\n"
        " async with AsWebexSimpleApi(tokens='user0_A52D_0') as api: await api.people.me()\nasyncio.run(main())",
    )
    statements |= first
    took: dict[str, list[tuple[float, int]]] = {label: [] for label in statements}
    libraries: dict[str, list[str]] = {}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("WEBEX_", "PYTHONPATH"))}
    for _ in range(samples):
        for label, (python, statement) in statements.items():
            ended = subprocess.run(
                [python, "-c", _MEASURE.format(statement=statement)],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            )
            seconds, resident, libraries[label] = json.loads(ended.stdout.splitlines()[-1])
            took[label].append((seconds, resident))
    bare_memory = statistics.median(memory for _, memory in took["bare Python"])
    return [
        Start(
            label,
            statistics.median(seconds for seconds, _ in values) * 1e3,
            (statistics.median(memory for _, memory in values) - bare_memory) / 1e6,
            libraries[label],
        )
        for label, values in took.items()
    ]
