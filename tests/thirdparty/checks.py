"""What the stories of the Python clients share: named steps, counted checks, and the report at the end.

Python's standard library only: the stories run in the clients' own environments.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

_done: list[str] = []
_failed: list[str] = []
_made = {"checks": 0}


def equal(got: Any, wanted: Any) -> None:
    _made["checks"] += 1
    if got != wanted:
        raise AssertionError(f"{got!r} is not {wanted!r}")


def refused(call: Callable[[], object], error: type[Any], status: int) -> None:
    """The client's own error, whose HTTP response has this status."""
    _made["checks"] += 1
    try:
        call()
    except error as problem:
        response = getattr(problem, "response", None)
        got = response.status_code if response is not None else problem.status
        if got != status:
            raise AssertionError(f"{problem!r} has not the status {status}") from None
        return
    raise AssertionError("it was not refused")


def step(run: Callable[[], object]) -> None:
    """Do one step; its name is the function's."""
    name = run.__name__.replace("_", " ")
    try:
        run()
    except Exception:
        _failed.append(f"{name}: {traceback.format_exc()[-1500:]}")
    else:
        _done.append(name)


def tell(package: str) -> NoReturn:
    """Print the report, and end."""
    told = {"version": version(package), **_made, "steps": _done, "failed": _failed}
    sys.stdout.write("\n" + json.dumps(told) + "\n")
    sys.stdout.flush()
    os._exit(bool(_failed))  # whatever threads a client has


def sign_in(login_url: str, who: str) -> str:
    """What somebody does in the browser, by the emulator's control API: the code."""
    request = urllib.request.Request(
        f"{os.environ['CONTROL']}/_emulator/sign_in",
        json.dumps({"login_url": login_url, "as_": who}).encode(),
        {"content-type": "application/json", "x-webex-emulator": "1"},
    )
    with urllib.request.urlopen(request) as answer:
        return parse_qs(urlsplit(json.load(answer)["result"]).query)["code"][0]


def resolve_all_names() -> None:
    """Let every name of this process be the emulator: for clients whose hosts are fixed."""
    port = urlsplit(os.environ["BASE"]).port
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, asked: Any, *arguments: Any, **more: Any) -> Any:
        return original("127.0.0.1", port if asked in (443, "443", "https") else asked, *arguments, **more)

    socket.getaddrinfo = getaddrinfo
