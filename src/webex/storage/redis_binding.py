"""One namespace of a `RedisStorage`: the protocol's calls as commands, pipelines and scripts."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from webex.errors import MissingKeyError, StorageError
from webex.runtime import drive
from webex.storage import redis_scripts as scripts
from webex.storage.codec import check_duration, check_namespace, check_text, decode, encode
from webex.storage.protocol import Json, Lease, MaybeAwaitable, Versioned
from webex.storage.redis_scripts import VERSION_SIZE
from webex.storage.redis_server import Command, Server

__all__ = ["Layout", "RedisAsyncBinding", "RedisLease", "text_of"]

_BUCKETS_AT_ONCE: Final = 64  # whose keys are listed in one trip
_READ_AT_ONCE: Final = 1000  # keys that one command reads
_REMOVED_AT_ONCE: Final = 500  # keys that one script removes
_LONGEST: Final = 10**15  # milliseconds: what Redis can add to its clock


@dataclass(frozen=True, slots=True)
class Layout:
    """How keys are called. All keys of one person are in one of the `buckets`, which is a hash tag: one slot."""

    prefix: str
    buckets: int

    def bucket(self, key: str) -> int:
        """Return the bucket of a key: that of its first two segments, which are the app and the person."""
        return zlib.crc32("/".join(key.split("/", 2)[:2]).encode()) % self.buckets

    def buckets_of(self, prefix: str) -> Sequence[int]:
        """Return the buckets that may hold keys that begin with `prefix`."""
        return [self.bucket(prefix)] if prefix.count("/") >= 2 else range(self.buckets)

    def key(self, kind: str, bucket: int, *names: str) -> str:
        """Return the name of one key; the namespace is escaped, so that it never runs into what follows."""
        return f"{self.prefix}:{{b{bucket}}}:{kind}" + "".join(f":{name}" for name in names)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How many replicas have to confirm a durable write, and within how many seconds."""

    replicas: int
    seconds: float


class RedisAsyncBinding:
    """The calls as `async def`; over a blocking client they never suspend."""

    def __init__(
        self, server: Server, layout: Layout, namespace: str, confirmation: Confirmation, *, blocking: bool
    ) -> None:
        check_namespace(namespace)
        self._server, self._layout, self._confirmation = server, layout, confirmation
        self._namespace = namespace
        self._escaped = namespace.replace("%", "%25").replace(":", "%3A")
        self._blocking = blocking
        self._channel = f"{layout.prefix}:told:{self._escaped}"

    async def get(self, key: str) -> Json:
        return (await self.get_versioned(key)).value

    async def get_versioned(self, key: str) -> Versioned:
        check_text(key, "key")
        found = await self._server.command("GET", self._value_key(key), again=True)
        if found is None:
            raise MissingKeyError(key, self._namespace)
        return _read(found)

    async def time_left(self, key: str) -> float | None:
        check_text(key, "key")
        left = int(await self._server.command("PTTL", self._value_key(key), again=True))
        if left == -2:  # there is no such key; -1: it does not expire
            raise MissingKeyError(key, self._namespace)
        return None if left < 0 else left / 1000

    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        by_bucket: dict[int, list[str]] = {}
        for key in dict.fromkeys(keys):
            check_text(key, "key")
            by_bucket.setdefault(self._layout.bucket(key), []).append(key)
        parts = [
            bucket_keys[start : start + _READ_AT_ONCE]
            for bucket_keys in by_bucket.values()
            for start in range(0, len(bucket_keys), _READ_AT_ONCE)
        ]
        commands = [("MGET", *map(self._value_key, part)) for part in parts]
        answers = await self._all(commands)
        return {
            key: _read(data).value
            for part, answer in zip(parts, answers, strict=True)
            for key, data in zip(part, answer, strict=True)
            if data is not None
        }

    async def put(self, key: str, value: Json, **options: Any) -> None:
        await self._put(key, value, "*", **options)

    async def put_if_version(self, key: str, value: Json, version: str | None, **options: Any) -> str | None:
        expected = _expected(version)
        return None if expected is None else await self._put(key, value, expected, **options)

    async def delete(self, key: str, **options: Any) -> None:
        await self._delete(key, "*", **options)

    async def delete_if_version(self, key: str, version: str, **options: Any) -> bool:
        expected = _expected(version)
        return bool(expected) and await self._delete(key, expected or "", **options)

    async def clear(self) -> None:
        """Remove every key: bucket by bucket, so that a put meanwhile comes either before or after."""
        left: Sequence[int] = range(self._layout.buckets)
        while left:
            found = await self._first_members(left)
            left = [bucket for bucket, members in found.items() if members]
            for bucket in left:
                members = found[bucket]
                values = [self._layout.key("v", bucket, self._escaped, member) for member in members]
                await self._server.script(
                    scripts.CLEAR, [*self._index_keys(bucket), *values], [self._escaped, *members]
                )

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        """List the keys: sorted within a bucket, and one bucket after the other."""
        check_text(prefix, "prefix")
        buckets = self._layout.buckets_of(prefix)
        waiting: list[str] = []
        for start in range(0, len(buckets), _BUCKETS_AT_ONCE):
            cursors: dict[int, bytes] = dict.fromkeys(
                buckets[start : start + _BUCKETS_AT_ONCE], b"[" + prefix.encode() if prefix else b"-"
            )
            while cursors:
                cursors, found = await self._list(cursors, prefix, max(1, min(page_size, 1000)))
                waiting += found
                while len(waiting) >= page_size:
                    yield waiting[:page_size]
                    del waiting[:page_size]
        if waiting:
            yield waiting

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        check_text(name, "lease name")
        check_duration(ttl, "ttl")
        token = secrets.token_hex(16)
        key = self._lease_key(name)
        granted = await self._server.script(scripts.LEASE, [key], [token, _milliseconds(ttl)])
        return RedisLease(self, name, token, key) if int(granted) else None

    async def lease_remaining(self, name: str) -> float:
        check_text(name, "lease name")
        return max(0, int(await self._server.command("PTTL", self._lease_key(name), again=True))) / 1000

    async def repair(self, bucket: int, key: str) -> bool:
        """Put a value into the index, or take a key without a value out of it; whether there was something to do."""
        keys = [self._layout.key("v", bucket, self._escaped, key), *self._index_keys(bucket)]
        return bool(int(await self._server.script(scripts.REPAIR, keys, [key, self._escaped])))

    async def notify(self, key: str) -> None:
        check_text(key, "key")
        await self._server.command("PUBLISH", self._channel, key, again=True)

    async def notifications(self) -> AsyncGenerator[str | None, None]:
        async with aclosing(self._server.listen(self._channel)) as told:
            async for key in told:
                yield key

    async def renewed(self, lease: RedisLease, ttl: float) -> bool:
        check_duration(ttl, "ttl")
        arguments = [lease.token, _milliseconds(ttl)]
        return bool(int(await self._server.script(scripts.RENEW, [lease.key], arguments)))

    async def released(self, lease: RedisLease) -> None:
        await self._server.script(scripts.RELEASE, [lease.key], [lease.token])

    def in_style(self, work: Any) -> Any:
        """Return a coroutine, or in blocking style its result."""
        return drive(work) if self._blocking else work

    async def _put(
        self, key: str, value: Json, expected: str, *, expires_in: float | None = None, durable: bool = True
    ) -> str | None:
        check_text(key, "key")
        check_duration(expires_in, "expires_in")
        version = secrets.token_hex(VERSION_SIZE // 2)
        lifetime = "" if expires_in is None else _milliseconds(expires_in)
        data = version.encode() + encode(value)
        arguments = [key, self._escaped, data, lifetime, expected]
        return version if await self._write(scripts.PUT, key, arguments, durable) else None

    async def _delete(self, key: str, expected: str, *, durable: bool = True) -> bool:
        check_text(key, "key")
        return await self._write(scripts.DELETE, key, [key, self._escaped, expected], durable)

    async def _write(self, script: scripts.Script, key: str, arguments: Sequence[Any], durable: bool) -> bool:
        keys = [self._value_key(key), *self._index_keys(self._layout.bucket(key))]
        wanted, seconds = self._confirmation.replicas, self._confirmation.seconds
        if not (wanted and durable):
            return bool(int(await self._server.script(script, keys, arguments)))
        wait = ("WAIT", wanted, max(1, round(seconds * 1000)))
        result, confirmed = await self._server.scripts(script, [(keys, arguments)], wait, again=False)
        done = bool(int(result))
        if done and int(confirmed) < wanted:
            raise StorageError(
                f"Redis at {self._server.shown} made a write that only {confirmed} of {wanted} replicas confirmed "
                f"within {seconds:g} s: a failover now may lose it"
            )
        return done

    async def _all(self, commands: Sequence[Command]) -> list[Any]:
        if not commands:
            return []
        if len(commands) == 1:
            return [await self._server.command(*commands[0], again=True)]
        return await self._server.pipeline(commands, again=True)

    async def _first_members(self, buckets: Iterable[int]) -> dict[int, list[str]]:
        wanted = list(buckets)
        answers = await self._all([("ZRANGE", self._index_keys(one)[0], 0, _REMOVED_AT_ONCE - 1) for one in wanted])
        return {
            bucket: [text_of(member) for member in members] for bucket, members in zip(wanted, answers, strict=True)
        }

    async def _list(self, cursors: dict[int, bytes], prefix: str, count: int) -> tuple[dict[int, bytes], list[str]]:
        end = b"[" + prefix.encode() + b"\xff" if prefix else b"+"  # no text of UTF-8 holds this byte
        steps = [(self._index_keys(bucket), [self._escaped, first, end, count]) for bucket, first in cursors.items()]
        answers = await self._server.scripts(scripts.LIST, steps, again=True)
        following: dict[int, bytes] = {}
        found: list[str] = []
        for bucket, (looked_at, last, members) in zip(cursors, answers, strict=True):
            found += map(text_of, members)
            if int(looked_at) == count:
                following[bucket] = b"(" + text_of(last).encode()
        return following, found

    def _value_key(self, key: str) -> str:
        return self._layout.key("v", self._layout.bucket(key), self._escaped, key)

    def _lease_key(self, name: str) -> str:
        return self._layout.key("l", self._layout.bucket(name), self._escaped, name)

    def _index_keys(self, bucket: int) -> list[str]:
        layout = self._layout
        return [
            layout.key("i", bucket, self._escaped),
            layout.key("x", bucket, self._escaped),
            layout.key("n", bucket),
        ]


class RedisLease:
    """A lease of a `RedisStorage`."""

    def __init__(self, binding: RedisAsyncBinding, name: str, token: str, key: str) -> None:
        self._binding = binding
        self.name: str = name
        self.token: str = token
        self.key: str = key

    def renew(self, ttl: float) -> MaybeAwaitable[bool]:
        renewed: MaybeAwaitable[bool] = self._binding.in_style(self._binding.renewed(self, ttl))
        return renewed

    def release(self) -> MaybeAwaitable[None]:
        released: MaybeAwaitable[None] = self._binding.in_style(self._binding.released(self))
        return released

    def __repr__(self) -> str:
        return f"RedisLease({self.name!r})"


def text_of(data: Any) -> str:
    """Return text that a client decoded, or left as bytes."""
    return data.decode() if isinstance(data, bytes) else str(data)


def _read(data: Any) -> Versioned:
    raw = data if isinstance(data, bytes) else str(data).encode()
    return Versioned(decode(raw[VERSION_SIZE:]), raw[:VERSION_SIZE].decode("ascii", "replace"))


def _expected(version: str | None) -> str | None:
    """Return what the script compares with, '' for no value; None when it can't be a version of ours."""
    if version is None:
        return ""
    return version if isinstance(version, str) and len(version) == VERSION_SIZE else None


def _milliseconds(seconds: float) -> int:
    return max(1, min(round(seconds * 1000), _LONGEST)) if seconds < _LONGEST else _LONGEST
