"""Keys that a key service keeps: the examples of the documentation, over a stub of Vault and moto's AWS KMS."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from moto import mock_aws

from tests.docs.blocks import ROOT, blocks_of
from tests.storage.helpers import AsyncMemory, MovableClock
from webex.errors import ConfigurationError, DecryptionError, StorageError
from webex.runtime import EventLoopRuntime, drive
from webex.storage import (
    EncryptedStorage,
    EnvelopeKey,
    MemoryStorage,
    SQLiteStorage,
    StorageAccess,
    conformance,
    key_service,
)
from webex.storage.wrappers import settle


def example(name: str) -> Any:
    """The function that the block with this name defines."""
    (block,) = [one for one in blocks_of(ROOT / "docs/storage-encryption.md") if one.directives.get("name") == name]
    names: dict[str, Any] = {}
    exec(block.code, names)
    return names[name.replace("-", "_")]


class Vault:
    """The two calls of the transit engine, over a real socket."""

    def __init__(self) -> None:
        vault = self
        self.key = AESGCM(AESGCM.generate_key(256))
        self.token = base64.b64encode(os.urandom(12)).decode()
        self.calls: list[str] = []
        self.is_away = False

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
                status, answer = vault.answer(self.path, self.headers.get("x-vault-token"), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, token: str | None, body: dict[str, Any]) -> tuple[int, Any]:
        self.calls.append(path)
        if self.is_away:
            return 503, {"errors": ["Vault is sealed"]}
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        if path == "/v1/transit/datakey/plaintext/webex":
            key, nonce = os.urandom(32), os.urandom(12)
            wrapped = "vault:v1:" + base64.b64encode(nonce + self.key.encrypt(nonce, key, None)).decode()
            return 200, {"data": {"plaintext": base64.b64encode(key).decode(), "ciphertext": wrapped}}
        if path == "/v1/transit/decrypt/webex":
            data = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:"))
            return 200, {"data": {"plaintext": base64.b64encode(self.key.decrypt(data[:12], data[12:], None)).decode()}}
        return 404, {"errors": []}

    def __enter__(self) -> Vault:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault() as made:
        yield made


@pytest.fixture
def vault_key(vault: Vault) -> Any:
    make = example("vault-key")
    return lambda: make(vault.address, vault.token, "webex")


def test_vault_is_called_once_per_data_key(vault: Vault, vault_key: Any, tmp_path: Path) -> None:
    with SQLiteStorage(tmp_path / "webex.db") as inner:
        binding = EncryptedStorage(inner, keys=[vault_key()]).bind("credentials")
        for number in range(20):
            binding.put(f"key{number}", number)
            assert binding.get(f"key{number}") == number
        assert vault.calls == ["/v1/transit/datakey/plaintext/webex"]
        other = EncryptedStorage(inner, keys=[vault_key()]).bind("credentials")
        assert other.get_many([f"key{number}" for number in range(20)]) == {f"key{n}": n for n in range(20)}
        assert vault.calls[1:] == ["/v1/transit/decrypt/webex"]
        assert inner.bind("credentials").get("key0").split(".")[:2] == ["webex2", "vault:transit/webex"]


def test_values_of_cached_data_keys_are_readable_without_vault(vault: Vault, vault_key: Any) -> None:
    inner = MemoryStorage()
    binding = EncryptedStorage(inner, keys=[vault_key()]).bind("credentials")
    binding.put("key", 1)
    vault.is_away = True
    assert binding.get("key") == 1
    binding.put("key", 2)
    other = EncryptedStorage(inner, keys=[vault_key()]).bind("credentials")
    with pytest.raises(StorageError, match="the key service of the key 'vault:transit/webex' failed") as failed:
        other.get("key")
    assert vault.token not in str(failed.value.__cause__)
    vault.is_away = False
    assert other.get("key") == 2


def test_aws_kms_wraps_data_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws(), SQLiteStorage(tmp_path / "webex.db") as inner:
        client = boto3.client("kms", region_name="eu-central-1")
        key_id = client.create_key()["KeyMetadata"]["KeyId"]
        key = example("kms-key")(client, key_id)
        storage = EncryptedStorage(inner, keys=[key])
        storage.bind("credentials").put("key", {"access_token": "a"})
        again = EncryptedStorage(inner, keys=[example("kms-key")(client, key_id)])
        assert again.bind("credentials").get("key") == {"access_token": "a"}
        own = EncryptedStorage.generate_key()
        assert EncryptedStorage(inner, keys=[own, key]).reencrypt() == 1
        assert EncryptedStorage(inner, keys=[own]).bind("credentials").get("key") == {"access_token": "a"}
        with pytest.raises(DecryptionError, match="not among the keys given"):
            again.bind("credentials").get("key")


class Service:
    """A key service in memory, plain or asynchronous."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.keys: dict[bytes, bytes] = {}

    def generate(self) -> tuple[bytes, bytes]:
        self.threads.add(threading.get_ident())
        key, wrapped = os.urandom(32), os.urandom(8)
        self.keys[wrapped] = key
        return key, wrapped

    def unwrap(self, wrapped: bytes) -> bytes:
        self.threads.add(threading.get_ident())
        return self.keys[wrapped]

    async def generate_async(self) -> tuple[bytes, bytes]:
        await asyncio.sleep(0)
        return self.generate()

    async def unwrap_async(self, wrapped: bytes) -> bytes:
        await asyncio.sleep(0)
        return self.unwrap(wrapped)

    def key(self, **options: Any) -> EnvelopeKey:
        return EnvelopeKey("memory:1", generate=self.generate, unwrap=self.unwrap, **options)

    def async_key(self) -> EnvelopeKey:
        return EnvelopeKey("memory:1", generate=self.generate_async, unwrap=self.unwrap_async)


@pytest.mark.filterwarnings("ignore::webex.storage.conformance.ConformanceWarning")
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
def test_suite_passes_with_a_key_service(kind: str) -> None:
    service, clock = Service(), MovableClock()

    def make() -> object:
        if kind == "plain":
            return EncryptedStorage(MemoryStorage(clock=clock), keys=[service.key()])
        return EncryptedStorage(AsyncMemory(clock), keys=[service.async_key()])

    conformance.verify(make, advance=clock.advance, many=100)


@pytest.mark.parametrize("kind", ["memory", "asynchronous", "sqlite"])
def test_plain_functions_never_block_the_event_loop(kind: str, tmp_path: Path) -> None:
    service = Service()
    made: dict[str, Any] = {
        "memory": MemoryStorage,
        "asynchronous": lambda: AsyncMemory(MovableClock()),
        "sqlite": lambda: SQLiteStorage(tmp_path / "webex.db"),
    }
    inner = made[kind]()

    async def main() -> None:
        runtime = EventLoopRuntime()
        await StorageAccess(EncryptedStorage(inner, keys=[service.key()]), runtime).put("credentials", "key", 1)
        again = StorageAccess(EncryptedStorage(inner, keys=[service.key()]), runtime)
        assert await again.get("credentials", "key") == 1
        await runtime.aclose()

    asyncio.run(main())
    assert service.threads
    assert threading.get_ident() not in service.threads
    if kind == "sqlite":
        inner.close()


def test_asynchronous_functions_are_refused_for_plain_calls() -> None:
    binding = EncryptedStorage(MemoryStorage(), keys=[Service().async_key()]).bind("credentials")
    with pytest.raises(ConfigurationError, match="give it plain functions"):
        binding.put("key", 1)


def test_data_key_is_replaced_after_its_lifetime() -> None:
    service = Service()
    binding = EncryptedStorage(MemoryStorage(), keys=[service.key(lifetime=0)]).bind("credentials")
    for number in range(3):
        binding.put("key", number)
    assert len(service.keys) == 3


class SlowService(Service):
    """A service that answers when the test says so, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.answer = threading.Event()
        self.answer.set()
        self.is_away = False

    def _wait(self, what: str) -> None:
        self.calls.append(what)
        assert self.answer.wait(60)
        if self.is_away:
            raise RuntimeError("503")

    def generate(self) -> tuple[bytes, bytes]:
        self._wait("generate")
        return super().generate()

    def unwrap(self, wrapped: bytes) -> bytes:
        self._wait("unwrap")
        return super().unwrap(wrapped)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released by each caller that waits for the call of another one."""
    count = threading.Semaphore(0)

    def blocked(running: Any, wait: Any = key_service._blocked) -> Any:
        count.release()
        return wait(running)

    def waited(running: Any, wait: Any = key_service._waited) -> Any:
        count.release()
        return wait(running)

    monkeypatch.setattr(key_service, "_blocked", blocked)
    monkeypatch.setattr(key_service, "_waited", waited)
    return count


@pytest.mark.parametrize("is_away", [False, True], ids=["answers", "is away"])
@pytest.mark.parametrize("what", ["generate", "unwrap"])
@pytest.mark.parametrize("style", ["threads", "tasks"])
def test_crowd_asks_the_key_service_once(style: str, what: str, is_away: bool, waiting: threading.Semaphore) -> None:
    service, callers = SlowService(), 50
    inner: Any = MemoryStorage() if style == "threads" else AsyncMemory(MovableClock())

    async def call(binding: Any, number: int) -> bool:
        """Whether it failed with the error of the service."""
        try:
            if what == "generate":
                await settle(binding.put(f"key{number}", number))
            else:
                assert await settle(binding.get("key")) == 1
        except StorageError as error:
            return "failed with RuntimeError" in str(error)
        return False

    def answer_when_all_wait() -> None:
        for _ in range(callers - 1):
            assert waiting.acquire(timeout=60)
        service.answer.set()

    def in_threads(binding: Any) -> list[bool]:
        with ThreadPoolExecutor(callers) as pool:
            calls = [pool.submit(drive, call(binding, number)) for number in range(callers)]
            answer_when_all_wait()
            return [each.result() for each in calls]

    async def in_tasks(binding: Any) -> list[bool]:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(call(binding, number)) for number in range(callers)]
            await asyncio.to_thread(answer_when_all_wait)
        return [each.result() for each in calls]

    async def main() -> None:
        await settle(EncryptedStorage(inner, keys=[service.key()]).bind("credentials").put("key", 1))
        service.calls.clear()
        service.answer.clear()
        service.is_away = is_away
        binding = EncryptedStorage(inner, keys=[service.key()]).bind("credentials")
        failed = in_threads(binding) if style == "threads" else await in_tasks(binding)
        assert failed == [is_away] * callers
        assert service.calls == [what]

    asyncio.run(main())


def test_cancelled_caller_leaves_the_call_to_another_one() -> None:
    service = Service()
    begun, calls = asyncio.Event(), 0

    async def generate() -> tuple[bytes, bytes]:
        nonlocal calls
        calls += 1
        begun.set()
        if calls == 1:
            await asyncio.Event().wait()
        return service.generate()

    async def main() -> None:
        key = EnvelopeKey("memory:1", generate=generate, unwrap=service.unwrap_async)
        binding: Any = EncryptedStorage(AsyncMemory(MovableClock()), keys=[key]).bind("credentials")
        first = asyncio.create_task(binding.put("first", 1))
        await begun.wait()
        second = asyncio.create_task(binding.put("second", 2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert await binding.get("second") == 2
        assert first.cancelled()

    asyncio.run(main())
    assert calls == 2


def test_writes_go_on_with_the_last_data_key_while_the_service_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, service = MovableClock(), SlowService()
    monkeypatch.setattr("webex.storage.key_service._monotonic", clock.monotonic)
    inner = MemoryStorage()
    binding = EncryptedStorage(inner, keys=[service.key(lifetime=600, grace=3600)]).bind("credentials")
    binding.put("key", 0)
    service.is_away = True
    clock.advance(601)
    for number in range(3):
        binding.put("key", number)
    assert service.calls == ["generate", "generate"]  # not at each write
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "until it is back, for 3599 s at most" in caplog.text
    clock.advance(31)
    binding.put("key", 3)
    assert service.calls == ["generate"] * 3
    clock.advance(3600)
    with pytest.raises(StorageError, match="the key service of the key 'memory:1' failed"):
        binding.put("key", 4)
    assert binding.get("key") == 3
    service.is_away = False
    binding.put("key", 5)
    assert len(service.keys) == 2


def test_invalid_key_services_are_refused() -> None:
    for key_id in ("", "a.b", "a b", 1, "x" * 201):
        with pytest.raises(ConfigurationError, match="the id of an EnvelopeKey"):
            EnvelopeKey(key_id, generate=Service().generate, unwrap=Service().unwrap)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ConfigurationError, match="are functions"):
        EnvelopeKey("a", generate=None, unwrap=None)  # type: ignore[arg-type]  # that is the test
    for name in ("lifetime", "grace"):
        for seconds in (-1, float("nan"), float("inf"), True, "1"):
            with pytest.raises(ConfigurationError, match=f"{name} of an EnvelopeKey is a number of seconds"):
                Service().key(**{name: seconds})
    for returned in (None, (b"short", b"wrapped"), b"x" * 32):
        key = EnvelopeKey("a", generate=lambda returned=returned: returned, unwrap=bytes)  # type: ignore[misc]  # that is the test
        with pytest.raises(ConfigurationError, match="returns a pair"):
            EncryptedStorage(MemoryStorage(), keys=[key]).bind("credentials").put("key", 1)
    assert repr(EnvelopeKey("a", generate=Service().generate, unwrap=bytes)) == "EnvelopeKey('a')"
