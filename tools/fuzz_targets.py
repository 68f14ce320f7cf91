"""The decoders that `tools.fuzz` feeds: each takes any bytes, and swallows only its decoder's own errors."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from webex.encryption import jose
from webex.encryption.channel import KMSChannel, secret_of
from webex.encryption.content import decrypt_activity, key_urls_of
from webex.encryption.jose import BadTokenError, Cipher
from webex.encryption.kms_identity import check_static_key, read_static_key
from webex.encryption.scr import SCR
from webex.errors import ConfigurationError, DecodeError, DecryptionError, KMSError
from webex.realtime.events import Reader
from webex.realtime.mercury.device import _read, read_features
from webex.realtime.mercury.frames import override
from webex.realtime.mercury.socket import MercurySocket
from webex.realtime.mercury.timers import TimerWheel
from webex.realtime.resources import RESOURCES
from webex.realtime.wire import EventFrame, is_activity
from webex.services.catalog import Catalog

VECTORS: Final = Path(__file__).resolve().parent.parent / "tests" / "vectors"

_STATIC: Final = json.loads((VECTORS / "kms-ecdhe.json").read_text())["static_public_key"]
_KEYS: Final = json.loads((VECTORS / "kms-static-key.json").read_text())
_PRIVATE: Final = _KEYS["rsa_private_jwk"]
_ROOT: Final = b64decode(_KEYS["certificates_der_base64"]["root"])
_CIPHER: Final = Cipher(b"k" * jose.KEY_BYTES)
_CHANNEL: Final = "kms://kms.example.com/ecdhe/1"
_AGREEMENT: Final = jose.new_agreement_key()
_loop = asyncio.new_event_loop()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _value(data: bytes) -> Any:
    """The JSON in the input; the standard library also reads half characters and numbers of any size."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def tokens(data: bytes) -> None:
    """Compact JWEs and JWSs."""
    keys = {"keys": [{name: _STATIC[name] for name in ("kty", "n", "e", "kid")}]}
    readers: tuple[Callable[[str], object], ...] = (
        _CIPHER.decrypt,
        jose.header_of,
        lambda token: jose.verify(token, _STATIC),
        lambda token: jose.verify_rs256(token, keys),
    )
    for read in readers:
        with suppress(BadTokenError):
            read(_text(data))


def encrypted_for_rsa(data: bytes) -> None:
    """Compact JWEs for an RSA key; slow, for the key is checked each time."""
    with suppress(BadTokenError):
        jose.decrypt_with_rsa(_text(data), _PRIVATE)


def agreements(data: bytes) -> None:
    """The other side's half of a key agreement, and the answer that holds it."""
    value = _value(data)
    with suppress(BadTokenError):
        jose.agree(_AGREEMENT, value)
    with suppress(KMSError):
        KMSChannel(_Link())._agreed(_AGREEMENT, value if isinstance(value, dict) else {"key": value})


def answers(data: bytes) -> None:
    """What the socket brings for the key channel: in the clear, and encrypted under the agreed key."""
    channel = KMSChannel(_Link())
    channel._static = _STATIC
    channel._remember(_CHANNEL, _CIPHER, time.time() + 3600)
    channel.receive(_value(data))
    channel.receive([*_text(data).split("\n"), _CIPHER.encrypt(data), _CIPHER.encrypt(data, kid=_CHANNEL)])
    with suppress(KMSError):
        channel.decrypt_relayed(_CIPHER.encrypt(data))
    with suppress(KMSError):
        secret_of(_value(data))


def files(data: bytes) -> None:
    """Descriptions of encrypted files, plain and encrypted."""
    makers: tuple[Callable[[], SCR], ...] = (
        lambda: SCR.from_dict(_value(data)),
        lambda: SCR.from_jwe(_CIPHER.encrypt(data), _CIPHER),
        lambda: SCR.from_jwe(_text(data), _CIPHER),
    )
    for make in makers:
        with suppress(DecryptionError):
            _loop.run_until_complete(_drain(make()))


async def _drain(scr: SCR) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"encrypted"

    async for _ in scr.decrypt(pieces()):
        pass


def static_keys(data: bytes) -> None:
    """The static key of the key service, and its certificates."""
    chain = [b64encode(part).decode() for part in data.split(b"----")]
    for given in (_text(data), _value(data), {**_STATIC, "x5c": chain}):
        for roots in ((), (_ROOT,)):
            with suppress(KMSError):
                check_static_key(read_static_key(given), roots)


def activities(data: bytes) -> None:
    """Activities as they come, and with their texts encrypted under a key that fits."""
    activity = _value(data)
    if isinstance(activity, dict):
        error = decrypt_activity(activity, dict.fromkeys(key_urls_of(activity), _CIPHER))
        assert error is None or isinstance(error, DecryptionError)
    encrypted = {"objectType": "comment", "displayName": _CIPHER.encrypt(data), "cards": [_CIPHER.encrypt(data)]}
    filed = {"objectType": "content", "files": {"items": [{"scr": _CIPHER.encrypt(data)}]}}
    given = {"objectType": "submit", "inputs": _CIPHER.encrypt(data)}
    for content in (encrypted, filed, given):
        decrypt_activity({"encryptionKeyUrl": "kms://k", "object": content}, {"kms://k": _CIPHER})


def events(data: bytes) -> None:
    """Activities as events."""
    activity = _value(data)
    if is_activity(activity):
        for occurrence in Reader("https://webexapis.com/v1", lambda url: "us").read(activity):
            assert occurrence.resource in RESOURCES


def frames(data: bytes) -> None:
    """Frames of the socket, one a line."""

    async def take() -> None:
        wheel = TimerWheel()
        socket = MercurySocket(_Owner(), wheel)
        for message in data.split(b"\n"):
            socket._take(message)
        socket._give_up_waiting()
        wheel.close()

    _loop.run_until_complete(take())


def catalogs(data: bytes) -> None:
    """The service catalog."""
    with suppress(DecodeError):
        catalog = Catalog.from_hostmap(_value(data))
        for name, url in catalog.links.items():
            with suppress(ConfigurationError):
                catalog.mark_failed(catalog.url_of(name))
            catalog.cluster_of(url)


def devices(data: bytes) -> None:
    """Answers to a device registration."""
    value = _value(data)
    with suppress(DecodeError):
        _read(value, None)
    read_features(value, "developer")


class _Link:
    """Never asked."""

    device_url = "https://wdm-a.example.com/wdm/api/v1/devices/1"
    user_id = "842e2d82-7e71-4040-8eb9-d977fe888807"

    async def details(self) -> dict[str, Any]:
        return {}

    async def post(self, destination: str, messages: object) -> Any:
        return None

    async def bearer(self) -> str:
        return ""

    async def renew_bearer(self) -> bool:
        return False

    def now(self) -> float:
        return time.time()


class _Owner:
    """Takes every frame, its header overrides too."""

    def on_event(self, socket: MercurySocket, envelope: EventFrame) -> None:
        override(envelope)

    def on_gap(self, socket: MercurySocket, actual: int, expected: int) -> None:
        assert actual != expected

    def on_shutdown(self, socket: MercurySocket) -> None:
        return None


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    call.__name__: call
    for call in (
        tokens,
        encrypted_for_rsa,
        agreements,
        answers,
        files,
        static_keys,
        activities,
        events,
        frames,
        catalogs,
        devices,
    )
}


def seeds(name: str) -> list[bytes]:
    """What a target's inputs grow from: the parts of the vectors that look like its own."""
    found: list[bytes] = []
    if name == "static_keys":
        certificates = [b64decode(text) for text in _KEYS["certificates_der_base64"].values()]
        found += [*certificates, *(each + b"----" + _ROOT for each in certificates)]
    for path in sorted(VECTORS.glob("*.json")):
        for part in _parts(json.loads(path.read_text())):
            if isinstance(part, str):
                if part.count(".") in (2, 4) and part.startswith("eyJ") and name in _TAKE_TOKENS:
                    found.append(part.encode())
            elif _WANTED[name] & part.keys():
                found.append(json.dumps(part).encode())
    return found


_TAKE_TOKENS: Final = ("tokens", "encrypted_for_rsa", "answers", "files")
_WANTED: Final[dict[str, set[str]]] = {
    "tokens": set(),
    "encrypted_for_rsa": set(),
    "agreements": {"crv", "key", "expirationDate"},
    "answers": {"requestId", "kmsMessages", "jwk"},
    "files": {"loc"},
    "static_keys": {"x5c", "rsaPublicKey"},
    "activities": {"object", "encryptionKeyUrl"},
    "events": {"verb"},
    "frames": {"sequenceNumber", "eventType"},
    "catalogs": {"serviceLinks"},
    "devices": {"webSocketUrl", "url"},
}


def _parts(value: Any) -> list[Any]:
    """Every object and text within a value."""
    if isinstance(value, dict):
        return [value, *(part for each in value.values() for part in _parts(each))]
    if isinstance(value, list):
        return [part for each in value for part in _parts(each)]
    return [value] if isinstance(value, str) else []
