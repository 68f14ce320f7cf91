"""Runs one code block, in a process of its own, whose output goes to a file.

The process is forked from one that has already imported what blocks use (`loaded.py`): most of the time that a block
took was for its imports. An emulator serves while the block runs, and its variables are set, as `webex emulator --env`
would have set them. `await` may stand at the top level of a block, as the docs' readers know it from notebooks.
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import inspect
import linecache
import multiprocessing
import os
import subprocess
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

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


def run_job(job: dict[str, Any], folder: Path, variables: dict[str, str], output: Path) -> None:
    """Run a job in this process, as one that was started in `folder` with these variables."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    try:
        run_with_emulator(job)
    finally:
        atexit._run_exitfuncs()  # the process ends without


def run_with_emulator(job: dict[str, Any]) -> None:
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


class Ended(NamedTuple):
    """How a job ended; the code is None when it had to be ended."""

    code: int | None
    output: str


def run_in_process(job: dict[str, Any], folder: Path, variables: dict[str, str], *, seconds: float = 240) -> Ended:
    """Run a job in a process of its own."""
    context: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    if hasattr(os, "fork"):
        context.set_forkserver_preload(["tests.docs.loaded"])
    output = folder.parent / "output"
    process = context.Process(target=run_job, args=(job, folder, variables, output))
    process.start()
    process.join(seconds)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
    return Ended(code, output.read_text(errors="replace") if output.exists() else "")


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
