"""Connections of `RedisStorage`: TLS, and those of event loops that ended without closing it."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.ports import free_port
from tests.support.services import RedisServer
from webex.errors import StorageError
from webex.storage import RedisStorage

pytestmark = pytest.mark.services


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis of a test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.pem", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def test_tls_works_in_both_styles_and_verifies_the_certificate(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    port = free_port()
    settings = (
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {key}",
        f"tls-ca-cert-file {certificate}",
        "tls-auth-clients no",
    )
    with RedisServer(*settings):
        with RedisStorage(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}") as storage:
            storage.bind("n").put("key", 1)

            async def main() -> None:
                assert await storage.bind_async("n").get("key") == 1
                await storage.aclose()

            asyncio.run(main())
        with RedisStorage(f"rediss://127.0.0.1:{port}/0") as stranger, pytest.raises(StorageError, match="reached"):
            stranger.bind("n").get("key")


# asyncio warns of loops that end so, in this test and in those before it; of two marks, the upper one would win.
@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_connections_of_closed_loops_do_not_accumulate(server: RedisServer) -> None:
    storage = RedisStorage(server.url)

    async def main() -> None:
        binding = storage.bind_async("n")
        await asyncio.gather(*(binding.put(f"key{number}", number) for number in range(5)))

    for _ in range(10):
        asyncio.run(main())  # without aclose()

    async def close() -> None:
        await storage.aclose()

    asyncio.run(close())
    gc.collect()
    with redis.Redis(port=server.port) as client:
        others = [one for one in client.client_list() if one["id"] != str(client.client_id())]
    assert others == []


def test_cancelled_call_ends_as_cancelled(redis_url: str, prefix: str) -> None:
    async def main() -> None:
        async with RedisStorage(redis_url, prefix=prefix) as storage:
            binding = storage.bind_async("n")
            await binding.put("key", 1)
            for steps in range(40):
                call = asyncio.ensure_future(binding.get("key"))
                for _ in range(steps % 20):
                    await asyncio.sleep(0)
                cancelled = call.cancel()  # False when it has ended already
                await asyncio.wait({call})
                assert call.cancelled() == cancelled

    asyncio.run(main())


@pytest.mark.parametrize(("stood_still", "connections"), [(0.6, 50), (2.0, 50), (2.0, 2)])
def test_answers_that_came_while_the_process_stood_still_are_read(
    server: RedisServer, stood_still: float, connections: int
) -> None:
    """A suspended machine finds the answers in its sockets, though their time is over."""
    keys = [f"key{number}" for number in range(8)]

    async def main() -> None:
        async with RedisStorage(server.url, timeout=0.5, max_connections=connections) as storage:
            binding = storage.bind_async("n")
            await asyncio.gather(*(binding.put(key, key) for key in keys))
            with redis.Redis(port=server.port) as client:
                client.client_pause(200)  # milliseconds without an answer
            calls = [asyncio.ensure_future(binding.get(key)) for key in keys]
            leasing = asyncio.ensure_future(binding.try_lease("key", 60))
            await asyncio.sleep(0.05)
            time.sleep(stood_still)  # as if it were stopped
            assert await asyncio.gather(*calls) == keys
            assert await leasing is not None

    asyncio.run(main())
