"""One worker of the run in `benchmarks.fleet`: `python -m benchmarks.fleet_worker '{"url": …}'`.

It writes a line for each event that the broker has confirmed, with the time, so that lateness can be told.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.fleet_processes import CLOUD
from webex import AsyncIntegration
from webex.emulator import accounts
from webex.fleet import Fleet, NatsPublisher, RabbitPublisher, RedisStreamPublisher, encode

APP = {
    "client_id": accounts.CLIENT_ID,
    "client_secret": accounts.CLIENT_SECRET,
    "redirect_uri": accounts.REDIRECT_URIS[0],
}


def storage_of(address: str, name: str) -> Any:
    """Return the storage at an address: a file of SQLite, or the URL of a server, where `name` keeps runs apart."""
    from webex.storage import PostgresStorage, RedisStorage, SQLiteStorage

    if address.startswith("redis"):
        return RedisStorage(address, prefix=name)
    if address.startswith("postgres"):
        return PostgresStorage(address, schema=name.replace("-", "_"))
    return SQLiteStorage(address)


class FilePublisher:
    """Append events to a file, one line each: the broker of runs without one."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  # until aclose

    async def publish(self, event: Any) -> None:
        self._file.write(encode(event) + b"\n")

    async def aclose(self) -> None:
        self._file.close()


def publisher_of(address: str, name: str) -> Any:
    """Return the publisher for a broker's address: a file, or a URL of nats, redis or amqp."""
    if address.startswith("nats"):
        return NatsPublisher(address, stream=name, subject=f"{name}.{{resource}}.{{event}}")
    if address.startswith("redis"):
        return RedisStreamPublisher(address, stream=f"{name}:events")
    if address.startswith("amqp"):
        return RabbitPublisher(address, exchange=name, queue=name)
    return FilePublisher(address)


@dataclass
class Noting:
    """A publisher that notes what another one has confirmed, and when."""

    inner: Any
    path: Path

    def __post_init__(self) -> None:
        self._file = self.path.open("a", buffering=1)

    async def publish(self, event: Any) -> None:
        await self.inner.publish(event)
        self._file.write(json.dumps([event.user_key, event.raw.get("text"), time.time()]) + "\n")

    async def aclose(self) -> None:
        await self.inner.aclose()
        self._file.close()


def reached_at(name: str, address: str) -> AbstractContextManager[Any]:
    """Let this process reach a host at an address of its own, as a line of /etc/hosts does."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *args: Any, **options: Any) -> Any:
        return resolve(address if host in (name, name.encode()) else host, *args, **options)

    return mock.patch.object(socket, "getaddrinfo", resolved)


async def main(how: dict[str, Any]) -> None:
    """Work until SIGTERM."""
    storage = storage_of(how["storage"], how["name"])
    async with AsyncIntegration(**APP, emulator_url=how["url"], storage=storage) as integration:
        publisher = Noting(publisher_of(how["broker"], how["name"]), Path(how["log"]))
        fleet = Fleet(
            integration,
            publisher=publisher,
            worker=how["worker"],
            resources=("messages",),
            first_pause=0.1,
            **how["options"],
        )
        await fleet.run()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    with reached_at(CLOUD, given["cloud"]):
        asyncio.run(main(given))
