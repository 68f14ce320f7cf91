"""Runs one code block, in a process of its own: `python run_block.py FILE` reads what to run from a JSON file.

An emulator serves while the block runs, and its variables are set, as `webex emulator --env` would have set them.
`await` may stand at the top level of a block, as the docs' readers know it from notebooks.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import linecache
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

from tests.docs.preamble import preamble


def compiled(code: str, name: str, line: int) -> CodeType:
    """The code, so that tracebacks show the page and its line."""
    linecache.cache[name] = (len(code), None, ("\n" * (line - 1) + code).splitlines(keepends=True), name)
    tree = ast.increment_lineno(ast.parse(code, name), line - 1)
    return compile(tree, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


async def run_python(job: dict[str, Any], names: dict[str, Any]) -> None:
    sections = [(preamble(job["with"]), "<before the block>", 1)]
    sections += [(each["code"], each["page"], each["line"]) for each in job["blocks"]]
    expected = job.get("raises")
    for index, (code, name, line) in enumerate(sections):
        try:
            result = eval(compiled(code, name, line), names)
            if inspect.iscoroutine(result):
                await result
        except BaseException as error:
            last = index == len(sections) - 1
            if not last or not expected or expected not in {each.__name__ for each in type(error).__mro__}:
                raise
            return
    if expected:
        raise AssertionError(f"The block was to raise {expected}, and raised nothing.")
    if path := job.get("serves"):
        await serve(names["app"], path)
    for name in ("client", "bot", "integration", "blocking_client"):
        held = names.get(name)
        if hasattr(held, "aclose"):
            await held.aclose()
        elif hasattr(held, "close"):
            held.close()


async def serve(app: Any, path: str) -> None:
    """Ask the application for a path, over a socket, as a browser would."""
    import urllib3
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        if running.done():
            await running
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    answer = await asyncio.to_thread(urllib3.request, "GET", f"http://127.0.0.1:{port}{path}", redirect=False)
    server.should_exit = True
    await running
    assert answer.status < 500, f"GET {path} answered {answer.status}: {answer.data[:500]!r}"


def run_shell(job: dict[str, Any]) -> None:
    for each in job["blocks"]:
        code = each["code"]
        if job["language"] == "console":
            code = "".join(line[2:] for line in code.splitlines(keepends=True) if line.startswith("$ "))
        subprocess.run(["sh", "-euc", code], check=True)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    from webex.emulator import Emulator, accounts

    with Emulator() as cloud:
        os.environ.update(cloud.env)
        os.environ.update(
            WEBEX_SCOPE="openid spark:all spark:kms",
            SESSION_SECRET="a secret of the documentation's own, 32 bytes or more",
            WEBEX_WEBHOOK_SECRET="a webhook's secret",
        )
        if job["language"] == "python":
            names = {"__name__": "__main__", "cloud": cloud, "accounts": accounts}
            asyncio.run(run_python(job, names)) if needs_loop(job) else run_blocking(job, names)
        else:
            run_shell(job)


def needs_loop(job: dict[str, Any]) -> bool:
    """Blocks that start their own event loop, or use none, must not run inside of one."""
    sections = [preamble(job["with"]), *(each["code"] for each in job["blocks"])]
    return "serves" in job or any(
        compiled(code, "<block>", 1).co_flags & inspect.CO_COROUTINE for code in sections if code
    )


def run_blocking(job: dict[str, Any], names: dict[str, Any]) -> None:
    coroutine = run_python(job, names)
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("A block without await was suspended.")


if __name__ == "__main__":
    main()
