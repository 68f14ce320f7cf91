"""A storage in the keyring of one person's machine: macOS Keychain, Windows Credential Locker, Secret Service, KWallet.

A keyring keeps short texts under names, and lists none. So names are hashed (Windows takes `a` and `A` for one), long
values are cut into parts (Windows keeps 1,280 characters), and an index of each namespace says which keys there are.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from typing import Any

from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.extras import needed_by
from webex.storage.codec import check_namespace, check_text, decode, encode
from webex.storage.paths import path
from webex.storage.protocol import Capabilities, Json, PlainBinding

with needed_by("KeyringStorage", "keyring"):
    import keyring
    import keyring.errors

__all__ = ["KeyringStorage"]

_PART = 1000  # characters
_NAMESPACES = "namespaces"
_USELESS = ("keyring.backends.fail", "keyring.backends.null")


class KeyringStorage:
    """Values in the keyring of the user who runs the program: `KeyringStorage()`, for tools on one person's machine.

    `service` is the name under which the entries stand, and `backend` a backend of the package `keyring` in place of
    the one that it chooses. There is no compare-and-swap and no lease: one program at a time. It is slow (a system
    call for each thousand characters), so content keys are better kept in another storage:
    `{"bounded_adapter": KeyringStorage(), "unbounded_adapter": MemoryStorage()}`.

    `ConfigurationError` when there is no keyring, such as on a server: use `EncryptedStorage(SQLiteStorage(…))`.
    """

    capabilities: Capabilities = Capabilities(scan=True, durable=True)
    asynchronous: bool = False

    def __init__(self, service: str = "webex", *, backend: Any = None) -> None:
        check_text(service, "service")
        self.service: str = service
        self.backend: Any = keyring.get_keyring() if backend is None else backend
        if type(self.backend).__module__ in _USELESS:
            raise ConfigurationError(
                "this machine has no keyring that KeyringStorage can use: use EncryptedStorage(SQLiteStorage(…)), or "
                "install a backend of the package keyring"
            )
        self.lock: threading.RLock = threading.RLock()

    def bind(self, namespace: str) -> PlainBinding:
        """Return the namespace, with plain methods."""
        check_namespace(namespace)
        return KeyringBinding(self, namespace)

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces that hold something."""
        with self.lock:
            return sorted(self.read(_NAMESPACES) or [])

    def read(self, name: str) -> Json:
        """Return what an entry holds, put together of its parts; None when there is none."""
        head = self._text(name)
        if head is None:
            return None
        mark, _, first = head.partition(":")
        write, _, count = mark.partition(".")
        texts = [first]
        for number in range(1, int(count) if count.isdecimal() else 1):
            part = self._text(f"{name}.{write}.{number}")
            if part is None:
                raise StorageError("an entry of the keyring lacks a part: it was written by two programs at once")
            texts.append(part)
        return decode("".join(texts).encode())

    def write(self, name: str, value: Json) -> None:
        """Write an entry: its further parts first, under names of their own, so that a reader never mixes two."""
        text = encode(value).decode()
        before = self._parts_of(name)
        write = secrets.token_hex(8)
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        for number, part in enumerate(parts[1:], 1):
            self._set(f"{name}.{write}.{number}", part)
        self._set(name, f"{write}.{len(parts)}:{parts[0]}")
        for part in before:
            self._delete(part)

    def remove(self, name: str) -> None:
        """Remove an entry; it need not be there."""
        parts = self._parts_of(name)
        for part in (name, *parts):
            self._delete(part)

    def _parts_of(self, name: str) -> list[str]:
        head = self._text(name)
        write, _, count = (head or "").partition(":")[0].partition(".")
        return [f"{name}.{write}.{number}" for number in range(1, int(count) if count.isdecimal() else 1)]

    def _text(self, name: str) -> str | None:
        found: str | None = self._called("get_password", name)
        return found

    def _set(self, name: str, text: str) -> None:
        self._called("set_password", name, text)

    def _delete(self, name: str) -> None:
        self._called("delete_password", name)

    def _called(self, method: str, *args: str) -> Any:
        try:
            return getattr(self.backend, method)(self.service, *args)
        except keyring.errors.PasswordDeleteError:
            return None  # it was not there
        except Exception as error:
            # What a backend says may show the text; it is there as the cause.
            what = "is locked" if isinstance(error, keyring.errors.KeyringLocked) else "failed"
            raise StorageError(f"the keyring {type(self.backend).__name__} {what}: {type(error).__name__}") from error

    def __repr__(self) -> str:
        return f"KeyringStorage({self.service!r})"


class KeyringBinding:
    """One namespace."""

    def __init__(self, storage: KeyringStorage, namespace: str) -> None:
        self._storage = storage
        self._namespace = namespace
        self._index = _hashed("index", namespace)

    def get(self, key: str) -> Json:
        check_text(key, "key")
        with self._storage.lock:  # one program at a time
            found = self._storage.read(self._name(key))
        if found is None:
            raise MissingKeyError(key, self._namespace)
        return found[0]

    def put(self, key: str, value: Json) -> None:
        check_text(key, "key")
        encode(value)
        with self._storage.lock:
            self._storage.write(self._name(key), [value])
            self._list(_NAMESPACES, self._namespace, there=True)
            self._list(self._index, key, there=True)

    def delete(self, key: str) -> None:
        check_text(key, "key")
        with self._storage.lock:
            self._storage.remove(self._name(key))
            self._list(self._index, key, there=False)

    def clear(self) -> None:
        with self._storage.lock:
            for key in self._storage.read(self._index) or []:
                self._storage.remove(self._name(key))
            self._storage.remove(self._index)
            self._list(_NAMESPACES, self._namespace, there=False)

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[list[str]]:
        check_text(prefix, "prefix")
        with self._storage.lock:
            found = sorted(key for key in self._storage.read(self._index) or [] if key.startswith(prefix))
        for start in range(0, len(found), page_size):
            yield found[start : start + page_size]

    def _name(self, key: str) -> str:
        return _hashed("value", self._namespace, key)

    def _list(self, index: str, name: str, *, there: bool) -> None:
        names: list[str] = self._storage.read(index) or []
        if (name in names) == there:
            return
        self._storage.write(index, [*names, name] if there else [each for each in names if each != name])


def _hashed(*parts: str) -> str:
    return hashlib.sha256(path(*parts).encode()).hexdigest()
