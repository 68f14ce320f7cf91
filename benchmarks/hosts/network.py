"""Hosts with addresses of their own on one machine, and the ways from them to the servers.

A host is a network namespace, which holds nothing but its own address; what it reaches is a `Proxy` on the other end
of its cable. Without the right to make namespaces a host is a name, and its proxies listen on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, Self, TypeVar

T = TypeVar("T")

State = Literal["open", "cut", "silent"]


class Proxy:
    """A TCP proxy that can be cut: connections are reset and refused; or silent: nothing arrives any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str, target: tuple[str, int]) -> None:
        self._loop, self._address, self.target = loop, address, target
        self._state: State = "open"
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, self._address, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def set(self, state: State) -> None:
        """Open the way, or close it in one of two manners."""
        self._state = state
        if state == "silent":
            self._flows.clear()
        else:
            self._flows.set()
        if state == "cut":
            for writer in tuple(self._open):
                writer.transport.abort()
            if self._server is not None:
                self._server.close()  # a connection is refused, as by a host whose server has ended
                self._server = None
        elif self._server is None:
            await self.start()

    async def close(self) -> None:
        """End everything."""
        await self.set("cut")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            other_reader, other_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(other_writer)
        try:
            await asyncio.gather(self._pump(reader, other_writer), self._pump(other_reader, writer))
        finally:
            for each in (writer, other_writer):
                self._open.discard(each)
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()


class Host:
    """One host: where its processes run, and its ways to the servers by their names."""

    def __init__(self, network: Network, name: str, address: str, command: Sequence[str]) -> None:
        self.network, self.name, self.address = network, name, address
        self.command = tuple(command)  # what a command line begins with, to run on this host
        self.ways: dict[str, Proxy] = {}

    def way(self, server: str, target: tuple[str, int]) -> tuple[str, int]:
        """Return the address at which a process of this host reaches a server."""
        proxy = self.ways.get(server)
        if proxy is None:
            proxy = self.ways[server] = Proxy(self.network.loop, self.address, target)
            self.network.run(proxy.start())
        proxy.target = target
        return self.address, proxy.port

    def set(self, server: str, state: State) -> None:
        """Open or close the way to a server."""
        self.network.run(self.ways[server].set(state))


class Network:
    """The hosts of one run; a context manager that leaves nothing behind."""

    def __init__(self, hosts: int, *, namespaces: bool | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.namespaces = can_make_namespaces() if namespaces is None else namespaces
        self._count = hosts
        self.hosts: list[Host] = []
        self._undo: list[Callable[[], object]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the loop of the proxies."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            for number in range(self._count):
                self.hosts.append(self._namespace(number) if self.namespaces else self._plain(number))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            for proxy in host.ways.values():
                self.run(proxy.close())
        for undo in reversed(self._undo):
            undo()
        self.run(_settle())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _plain(self, number: int) -> Host:
        return Host(self, f"host {number + 1}", "127.0.0.1", ())

    def _namespace(self, number: int) -> Host:
        tag = secrets.token_hex(3)
        name, ours, theirs = f"webex-{tag}-{number}", f"wx{tag}{number}", f"wy{tag}{number}"
        third = f"10.{200 + os.getpid() % 50}.{secrets.randbelow(250) + 1}"
        low = 4 * secrets.randbelow(60)
        _ip("netns", "add", name)
        self._undo.append(lambda: _ip("netns", "del", name))
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
        self._undo.append(lambda: subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True))
        _ip("link", "set", theirs, "netns", name)
        _ip("addr", "add", f"{third}.{low + 1}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", name, "addr", "add", f"{third}.{low + 2}/30", "dev", theirs)
        _ip("-n", name, "link", "set", theirs, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return Host(self, f"host {number + 1}", f"{third}.{low + 1}", ("ip", "netns", "exec", name))


async def _settle() -> None:
    own = asyncio.current_task()
    waiting = [task for task in asyncio.all_tasks() if task is not own]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def can_make_namespaces() -> bool:
    """Return whether this process may make network namespaces with a cable to them."""
    if shutil.which("ip") is None:
        return False
    name = f"webex-probe-{secrets.token_hex(3)}"
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError:
        return False
    try:
        link = f"wp{secrets.token_hex(4)}"
        _ip("link", "add", link, "type", "veth", "peer", "name", f"{link}p")
        _ip("link", "del", link)
    except subprocess.CalledProcessError:
        return False
    finally:
        _ip("netns", "del", name)
    return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)
