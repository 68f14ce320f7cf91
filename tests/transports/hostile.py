"""A server on a raw socket that does what a test says, byte for byte, plain or over TLS."""

from __future__ import annotations

import contextlib
import datetime
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Peer:
    """One connection as the server sees it."""

    def __init__(self, sock: Any, server: Server) -> None:
        self._sock = sock
        self._server = server

    def is_first(self) -> bool:
        """Whether no request has come to the server yet, over any connection."""
        return not self._server.seen

    def request(self) -> bytes:
        """Read one request: its head, and as much body as its Content-Length says. Empty when the client is gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._read()
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            piece = self._read()
            if not piece:
                break
            body += piece
        self._server.seen.append(head + b"\r\n\r\n" + body)
        return data

    def _read(self) -> bytes:
        try:
            return bytes(self._sock.recv(65536))
        except OSError:
            return b""

    def say(self, data: bytes) -> bool:
        """Send; False when the client is gone."""
        try:
            self._sock.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes, pause: float = 0.02) -> None:
        """Send byte by byte until the client is gone or the test is over."""
        for value in data:
            if self._server.over.wait(pause) or not self.say(bytes([value])):
                return

    def forever(self, data: bytes, pause: float = 0.0) -> None:
        """Send the same again and again until the client is gone or the test is over."""
        while self.say(data) and not self._server.over.wait(pause):
            pass

    def silent(self) -> None:
        """Say nothing until the test is over."""
        self._server.over.wait(60)

    def until_closed(self) -> None:
        """Wait until the client closes the connection."""
        while self._read():
            pass
        self._server.closed.release()

    def until_data(self) -> None:
        """Wait for the first data, and leave them unread."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        while not self._server.over.is_set() and not poll.poll(100):
            pass

    def until_reset(self) -> None:
        """Read no more, and wait until the client ends the connection all the same."""
        poll = select.poll()
        poll.register(self._sock, 0)  # errors and hang-ups are always told
        while not self._server.over.is_set():
            if poll.poll(100):
                self._server.closed.release()
                return

    def end(self) -> None:
        """Close the connection, with TLS's own end if it has one."""
        with contextlib.suppress(OSError, AttributeError, ValueError):
            self._sock.settimeout(2)
            self._sock.unwrap()

    def cut(self) -> None:
        """Close the connection at once."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class Server:
    """Runs `handler(peer)` for each connection on a thread of its own."""

    def __init__(self, handler: Callable[[Peer], Any], context: ssl.SSLContext | None) -> None:
        self.seen: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.over = threading.Event()
        self.closed = threading.Semaphore(0)
        self._handler = handler
        self._context = context
        self._count = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listening.getsockname()[1]
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://localhost:{self.port}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: Any) -> None:
        with self._count:
            self.connections += 1
            self.open += 1
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            self._handler(Peer(sock, self))
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                sock.close()
            with self._count:
                self.open -= 1

    def wait_for(self, number: int) -> None:
        """Wait until so many requests were read."""
        deadline = time.monotonic() + 60
        while len(self.seen) < number:
            assert time.monotonic() < deadline, f"{len(self.seen)} of {number} requests came"
            time.sleep(0.005)

    def wait_until_closed(self) -> None:
        """Wait until no connection is open."""
        deadline = time.monotonic() + 60
        while self.open:
            assert time.monotonic() < deadline, f"{self.open} connections are still open"
            time.sleep(0.005)

    def close(self) -> None:
        """End all that waits."""
        self.over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def say(answer: bytes, *, keep: bool = True) -> Any:
    """A handler that gives every request the same answer."""

    def handler(peer: Peer) -> None:
        while peer.request():
            if not peer.say(answer):
                return
            if not keep:
                peer.end()
                return

    return handler


def answered(*headers: bytes, body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"content-length: " + str(len(body)).encode(), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def before_the_head(peer: Peer) -> None:
    peer.request()
    peer.silent()


def in_the_head(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\nx-one: ")
    peer.silent()


def in_the_body(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    peer.silent()


def dripping_head(peer: Peer) -> None:
    peer.request()
    peer.drip(b"HTTP/1.1 200 OK\r\n" + b"x-header: yes\r\n" * 1000)


def endless_interim_answers(peer: Peer) -> None:
    peer.request()
    peer.forever(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01)


def dripping_body(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    peer.drip(b"x" * 1000)


def dripping_chunks(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    peer.forever(b"1\r\nx\r\n", 0.02)


def dripping_trailers(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")
    peer.drip(b"x-trailer: yes\r\n" * 100)


def make_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """An authority, a certificate for localhost, and its key, in PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Authority", "localhost")]
    certificates = []
    for number, (name, key) in enumerate(zip(names, keys, strict=True)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
        )
        if number == 1:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        certificates.append(builder.sign(keys[0], hashes.SHA256()))
    paths = folder / "authority.pem", folder / "certificate.pem", folder / "key.pem"
    for path, certificate in zip(paths[:2], certificates, strict=True):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths
