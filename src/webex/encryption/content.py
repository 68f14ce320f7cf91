"""Encrypt and decrypt the fields of an activity (kms §9).

Activities are plain data as the wire has them. A field that can't be decrypted is removed and its error kept; the
others stay readable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from webex.encryption.jose import BadTokenError, Cipher
from webex.encryption.scr import SCR
from webex.errors import DecryptionError
from webex.http.codec import encode_json, read_json, well_formed

_TEXTS: Final[dict[str, tuple[str, ...]]] = {
    "comment": ("displayName", "content"),
    "content": ("displayName", "content"),
    "file": ("displayName", "content"),
    "conversation": ("displayName", "content", "previous", "previousValue"),
    "reaction2": ("displayName",),
    "reaction2Summary": ("displayName",),
    "event": ("displayName",),
    "meetingContainer": ("displayName",),
    "submit": (),
    "link": ("displayName", "sslr"),
}
Ciphers: TypeAlias = Mapping[str, Cipher | DecryptionError]  # by key URL; or why a key could not be had
_ENCRYPTED_KINDS: Final = frozenset({"comment", "content", "file", "conversation", "reaction2", "submit"})


def key_url_of(activity: Mapping[str, Any]) -> str | None:
    """Return the URL of the key that an activity is encrypted with; None when it is not encrypted."""
    url = activity.get("encryptionKeyUrl")
    if isinstance(url, str) and url:
        return url
    for holder in (activity.get("object"), activity.get("target")):
        if isinstance(holder, dict):
            url = holder.get("encryptionKeyUrl")
            if isinstance(url, str) and url:
                return url
    return None


def key_urls_of(activity: Mapping[str, Any]) -> list[str]:
    """Return the URL of every key that an activity needs, each once; files may have keys of their own."""
    url = key_url_of(activity)
    urls = [] if url is None else [url]
    content = activity.get("object")
    if isinstance(content, dict) and "files" in content:
        for file in _items(content["files"]):
            own = file.get("encryptionKeyUrl")
            if isinstance(own, str) and own and own not in urls:
                urls.append(own)
    return urls


def decrypt_activity(activity: Mapping[str, Any], ciphers: Ciphers) -> DecryptionError | None:
    """Decrypt every field in place; return the first error when a field could not be decrypted and was removed.

    `ciphers` has an entry for each of `key_urls_of`. SCRs become `SCR` objects, `inputs` of a card plain data, cards
    plain data.
    """
    url = key_url_of(activity)
    content = activity.get("object")
    if url is None or not isinstance(content, dict):
        return None
    opener = _Opener(ciphers)
    opener.open_object(content, url)
    parent = activity.get("target")
    if isinstance(parent, dict) and is_encrypted(parent.get("displayName")):
        parent.pop("displayName")  # the title as of some other moment, under some other key
    return opener.error


def encrypt_activity(activity: dict[str, Any], cipher: Cipher, key_url: str) -> dict[str, Any]:
    """Return a copy of an activity with its texts encrypted and the key's URL set."""
    content = activity.get("object")
    if not isinstance(content, dict) or content.get("objectType") not in _ENCRYPTED_KINDS:
        return activity
    encrypted = {**activity, "object": _encrypted(content, cipher)}
    if content["objectType"] == "conversation" and content.get("displayName"):
        encrypted["object"]["encryptionKeyUrl"] = key_url  # a title outlives the activity that it came with
    if activity.get("verb") in ("post", "share", "update", "assign", "cardAction", "add"):
        encrypted["encryptionKeyUrl"] = key_url
    return encrypted


class _Opener:
    """Decrypt one activity, and remember the first error."""

    __slots__ = ("_ciphers", "error")

    def __init__(self, ciphers: Ciphers) -> None:
        self._ciphers = ciphers
        self.error: DecryptionError | None = None

    def open_object(self, content: dict[str, Any], url: str) -> None:
        cipher = self._cipher(url)
        kind = content.get("objectType")
        texts = _TEXTS.get(kind) if isinstance(kind, str) else None
        if texts is None:  # of a person, say: not encrypted, though the activity names a key
            texts = tuple(name for name in ("displayName", "content") if is_encrypted(content.get(name)))
        for name in texts:
            if content.get(name):
                self._text(content, name, cipher)
        if kind == "comment" and content.get("cards"):
            self._cards(content, cipher)
        elif kind == "submit" and content.get("inputs"):
            self._inputs(content, cipher)
        elif kind == "content":
            for file in _items(content.get("files")):
                self._file(file, url)
            for link in _items(content.get("links")):
                for name in _TEXTS["link"]:
                    self._text(link, name, cipher)

    def _cipher(self, url: str) -> Cipher | DecryptionError:
        return self._ciphers.get(url) or DecryptionError("The key is not at hand.")

    def _plain(self, value: Any, cipher: Cipher | DecryptionError) -> str | None:
        if isinstance(cipher, DecryptionError):
            self.error = self.error or cipher
            return None
        try:
            return cipher.decrypt(value).decode()
        except (BadTokenError, UnicodeDecodeError) as error:
            self.error = self.error or DecryptionError(f"A part of the message can't be opened: {error}")
            return None

    def _text(self, holder: dict[str, Any], name: str, cipher: Cipher | DecryptionError) -> None:
        value = holder.get(name)
        if not value:
            return
        plain = self._plain(value, cipher)
        if plain is None:
            del holder[name]
        else:
            holder[name] = plain

    def _json(self, value: Any, cipher: Cipher | DecryptionError) -> Any:
        plain = self._plain(value, cipher)
        if plain is None:
            return None
        try:
            return read_json(plain.encode())
        except (msgspec.DecodeError, RecursionError):
            self.error = self.error or DecryptionError("A part of the message holds no JSON.")
            return None

    def _cards(self, content: dict[str, Any], cipher: Cipher | DecryptionError) -> None:
        cards = content["cards"]
        opened = [self._json(card, cipher) for card in cards] if isinstance(cards, list) else []
        content["cards"] = [card for card in opened if card is not None]

    def _inputs(self, content: dict[str, Any], cipher: Cipher | DecryptionError) -> None:
        inputs = self._json(content["inputs"], cipher)
        if isinstance(inputs, dict):
            content["inputs"] = inputs
        else:
            del content["inputs"]

    def _file(self, file: dict[str, Any], url: str) -> None:
        own = file.get("encryptionKeyUrl")
        cipher = self._cipher(own if isinstance(own, str) and own else url)
        for name in ("displayName", "content"):
            self._text(file, name, cipher)
        for holder in (file, file.get("image")):
            if isinstance(holder, dict) and holder.get("scr"):
                self._scr(holder, cipher)

    def _scr(self, holder: dict[str, Any], cipher: Cipher | DecryptionError) -> None:
        if isinstance(cipher, DecryptionError):
            self.error = self.error or cipher
            del holder["scr"]
            return
        try:
            holder["scr"] = SCR.from_jwe(holder["scr"], cipher)
        except DecryptionError as error:
            self.error = self.error or error
            del holder["scr"]


def _encrypted(content: dict[str, Any], cipher: Cipher) -> dict[str, Any]:
    kind = str(content.get("objectType"))
    result = dict(content)
    for name in ("displayName", "content"):
        if result.get(name) and name in _TEXTS.get(kind, ()):
            result[name] = cipher.encrypt(well_formed(str(result[name]), name).encode())
    if kind == "submit" and result.get("inputs") is not None:
        result["inputs"] = cipher.encrypt(encode_json(result["inputs"]))
    if kind == "comment" and result.get("cards"):
        result["cards"] = [cipher.encrypt(encode_json(card)) for card in result["cards"]]
    if isinstance(result.get("scr"), SCR):
        result["scr"] = result["scr"].to_jwe(cipher)
    elif isinstance(result.get("scr"), dict):
        result["scr"] = SCR.from_dict(result["scr"]).to_jwe(cipher)
    if isinstance(result.get("image"), dict):
        result["image"] = _encrypted(result["image"], cipher)
    if isinstance(result.get("files"), dict):
        items = [_encrypted({"objectType": "file", **item}, cipher) for item in _items(result["files"])]
        result["files"] = {**result["files"], "items": items}
    return result


def _items(collection: Any) -> Iterator[dict[str, Any]]:
    items = collection.get("items") if isinstance(collection, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


def is_encrypted(text: Any) -> bool:
    """Return whether a value of the wire is an encrypted text: a JWE in compact form (RFC 7516 §7.1)."""
    return isinstance(text, str) and text.startswith("eyJ") and text.count(".") == 4


def reaction_hmac(message_id: str, name: str, jwk: Mapping[str, str]) -> str:
    """Return the proof of a reaction: HMAC-SHA-256 of the key, the message and the reaction, keyed by the id."""
    import hashlib
    import hmac

    key = msgspec.json.encode({part: jwk[part] for part in ("k", "kid", "kty")}).decode()
    return hmac.new(message_id.encode(), f"{key}{message_id}{name}".encode(), hashlib.sha256).hexdigest()
