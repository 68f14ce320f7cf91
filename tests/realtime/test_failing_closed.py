"""Encryption fails closed: what can't be proven is told as an error, what can't be encrypted is not sent."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, shared_room, take, until
from webex import Config
from webex.config import load_config
from webex.emulator.cloud import Cloud
from webex.errors import DecryptionError, EncryptionError, KMSError, KMSIdentityError
from webex.ids import to_uuid
from webex.realtime import dispatcher


def push(cloud: Cloud, room_id: str, content: dict[str, Any], key_uri: str) -> None:
    """An activity of Alice's to Bob, as it is given."""
    with cloud.lock:
        people = {person.email: person for person in cloud.state.people.values()}
        alice, bob = people["alice@example.com"], people["bob@example.com"]
        activity = {
            "id": str(uuid.uuid4()),
            "objectType": "activity",
            "verb": "share" if "files" in content else "post",
            "published": cloud.iso(cloud.now()),
            "actor": {"objectType": "person", "id": alice.id, "entryUUID": alice.id, "entryEmail": alice.email},
            "object": content,
            "target": {"objectType": "conversation", "id": to_uuid(room_id), "tags": []},
            "encryptionKeyUrl": key_uri,
        }
        cloud.mercury.push([bob.id], {"eventType": "conversation.activity", "activity": activity})


def key_of(cloud: Cloud, room_id: str) -> Any:
    with cloud.lock:
        return cloud.kms.room_key(cloud.state.rooms[to_uuid(room_id)])


def test_a_refused_key_gives_an_event_without_text(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            webex_cloud.kms.set_faults(by_key={key_of(webex_cloud, room).uri: {"status": 403, "reason": "no"}})
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="secret")
                (event,) = await take(events)
        assert isinstance(event.decryption_error, DecryptionError)
        assert isinstance(event.decryption_error.__cause__, KMSError)
        assert event.data.text is None
        assert event.data.html is None

    run(main())


@pytest.mark.parametrize("status", [503, 429, 408])
def test_a_temporary_kms_outage_delays_events_without_losing_text(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(dispatcher, "_FIRST_KEY_PAUSE", 0.001)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", max_retries=0) as bob:
            room, other = await shared_room(alice), await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                fault = webex_cloud.faults.add("/encryption/*", status=status)
                for text in ("one", "two"):
                    await alice.messages.create(room_id=room, text=text)
                await alice.messages.create(room_id=other, text="three")
                await until(lambda: fault.hits >= 12)
                assert not events._queue
                webex_cloud.faults.clear()
                heard = await take(events, 3)
        assert sorted(event.data.text for event in heard) == ["one", "three", "two"]
        assert [event.data.text for event in heard if event.data.room_id == room] == ["one", "two"]
        assert {event.decryption_error for event in heard} == {None}
        assert events.health.undecryptable == 0

    run(main())


def test_a_wrong_kms_signature_is_reported_and_nothing_is_decrypted(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            webex_cloud.kms.set_faults(wrong_signature=100)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="secret")
                (event,) = await take(events)
        assert event.decryption_error is not None
        assert isinstance(event.decryption_error.__cause__, KMSIdentityError)
        assert event.data.text is None

    run(main())


def test_a_key_service_with_another_root_is_not_trusted(webex_cloud: Cloud) -> None:
    async def main() -> None:
        foreign = _foreign_root()
        config: Config = load_config({"emulator_url": webex_cloud.url})[0].replace(kms_roots=(foreign,))
        right = config.replace(kms_roots=(webex_cloud.kms.root_pem,))
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            for chosen, text in ((config, None), (right, "secret")):
                async with client_of_config(webex_cloud, chosen) as bob:
                    async with bob.messages.listen(**QUICK) as events:
                        await alice.messages.create(room_id=room, text="secret")
                        (event,) = await take(events)
                    assert event.data.text == text

    run(main())


def client_of_config(cloud: Cloud, config: Config) -> Any:
    from webex import AsyncWebex

    return AsyncWebex(cloud.token_for("bob"), config=config)


def _foreign_root() -> bytes:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another root")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


@pytest.mark.parametrize("damage", ["truncated", "changed", "no JWE"])
def test_a_damaged_text_is_reported_and_the_rest_is_readable(webex_cloud: Cloud, damage: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            key = key_of(webex_cloud, room)
            cipher = webex_cloud.kms.cipher(key.uri)
            encrypted = cipher.encrypt(b"the text")
            broken = {
                "truncated": encrypted[:-10],
                "changed": encrypted[:-4] + ("AAAA" if encrypted[-4:] != "AAAA" else "BBBB"),
                "no JWE": "the text",
            }[damage]
            content = {"objectType": "comment", "displayName": broken, "content": cipher.encrypt(b"<p>the html</p>")}
            async with bob.messages.listen(**QUICK) as events:
                push(webex_cloud, room, content, key.uri)
                (event,) = await take(events)
        assert isinstance(event.decryption_error, DecryptionError)
        assert event.data.text is None
        assert event.data.html == "<p>the html</p>"

    run(main())


def test_a_tampered_scr_is_reported(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            key = key_of(webex_cloud, room)
            cipher = webex_cloud.kms.cipher(key.uri)
            file = {
                "objectType": "file",
                "displayName": cipher.encrypt(b"a.txt"),
                "scr": cipher.encrypt(b'{"enc":"none"}'),
            }
            async with bob.messages.listen(**QUICK) as events:
                push(webex_cloud, room, {"objectType": "content", "files": {"items": [file]}}, key.uri)
                (event,) = await take(events)
            assert isinstance(event.decryption_error, DecryptionError)
            with pytest.raises(EncryptionError):
                await bob.conversations.download(event.files[0], "unused")

    run(main())


def test_replayed_answers_change_nothing(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            webex_cloud.kms.set_faults(replay=10)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="one")
                (event,) = await take(events)
                unmatched = events._connection.channel.unmatched
        assert (event.data.text, event.decryption_error) == ("one", None)
        assert unmatched >= 1

    run(main())


def test_without_a_key_nothing_is_sent(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.kms.set_faults(by_key={key_of(webex_cloud, room).uri: {"status": 403, "reason": "no"}})
            with pytest.raises(EncryptionError, match="Nothing was sent"):
                await alice.conversations.post(room, "secret")
            with pytest.raises(EncryptionError, match="Nothing was sent"):
                await alice.conversations.share(room, b"secret", name="a.txt")
        assert not webex_cloud.state.messages
        assert not webex_cloud.state.uploads
        assert not webex_cloud.requests.find(method="POST", path="/conversation/*")

    run(main())


def test_a_removed_member_cannot_read_later_messages(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            me = str((await bob.people.me()).id)
            await alice.conversations.post(room, "for both")
            before = key_of(webex_cloud, room).uri
            await alice.conversations.leave(room, me)
            await alice.conversations.post(room, "for alice alone")
            after = key_of(webex_cloud, room).uri
            assert after != before
            assert not webex_cloud.kms.may_read(to_uuid(me), after)
            way = await bob.conversations._service.connected()
            with pytest.raises(KMSError) as refused:
                await way.keys.get(after)
            assert refused.value.status == 403

    run(main())
