"""One activity that can't be handled never ends the work on others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.realtime.helpers import QUICK, activity, client_of, run, say, shared_room, take, texts
from tests.realtime.wiretap import tapped
from webex import AsyncWebex
from webex.emulator.cloud import Cloud
from webex.realtime import dispatcher


@pytest.mark.parametrize("error", [KeyError("no"), MemoryError(), ZeroDivisionError(), RecursionError(), OSError(5)])
def test_unexpected_decryption_failure_is_reported_with_its_event(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real = dispatcher.decrypt_activity

    def odd(opened: dict[str, Any], ciphers: Any) -> Any:
        failure = real(opened, ciphers)
        if opened["object"].get("displayName") == "odd":
            raise error
        return failure

    monkeypatch.setattr(dispatcher, "decrypt_activity", odd)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "before", "odd", "one", "two", "three")
                before, bad, *after = await take(events, 5)
                assert before.data.text == "before"
                assert type(error).__name__ in str(bad.decryption_error)
                assert texts(after) == ["one", "two", "three"]
                assert events.health.connections == 1

    run(main())


def test_frame_with_a_lone_surrogate_is_received(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                odd = activity(webex_cloud, room)
                odd["object"] = {"objectType": "comment", "displayName": "half \ud83d"}
                odd.pop("encryptionKeyUrl", None)
                await wire.line.say({"id": "odd", "data": {"eventType": "conversation.activity", "activity": odd}})
                await say(alice, room, "after it")
                assert texts(await take(events, 2)) == ["half \ufffd", "after it"]

    run(main())


def test_token_without_an_organization_listens(webex_cloud: Cloud) -> None:
    async def main() -> None:
        opaque = "opaque-token-of-bob"
        webex_cloud.tokens.adopt(webex_cloud.token_for("bob"), opaque)
        async with client_of(webex_cloud) as alice, AsyncWebex(opaque, emulator_url=webex_cloud.url) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "hello")
                assert texts(await take(events)) == ["hello"]

    run(main())
