"""`client.presence`: read, set and followed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, take, until
from webex import Webex
from webex.emulator.accounts import ADMIN_ID, ALICE_ID, BOB_ID
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, NotFoundError, RealtimeError
from webex.ids import to_hydra_id
from webex.realtime import Presence

ALICE, BOB, ADMIN = (to_hydra_id("PEOPLE", each) for each in (ALICE_ID, BOB_ID, ADMIN_ID))
SUBSCRIBE = "/apheleia/api/v1/subscriptions"


def asked(cloud: Cloud) -> list[tuple[list[str], float]]:
    """Whom the presence service was asked about, and for how long."""
    found = cloud.requests.find(method="POST", path=SUBSCRIBE)
    return [(request.body["subjects"], request.body["subscriptionTtl"]) for request in found]


def test_presence_is_read_for_one_and_many(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            webex_cloud.set_presence("bob", "meeting", 60)
            found = await alice.presence.get(BOB)
            assert isinstance(found, Presence)
            assert (found.person_id, found.status) == (BOB, "meeting")
            assert found.expires_in is not None
            assert 0 < found.expires_in <= 60
            several = await alice.presence.list([ADMIN_ID, BOB, ADMIN])
            assert [(each.person_id, each.status) for each in several] == [(ADMIN, "inactive"), (BOB, "meeting")]
            assert webex_cloud.requests.find(method="POST", path="/wdm/*") == []  # no socket is needed
            with pytest.raises(NotFoundError):
                await alice.presence.get(BOB_ID[:-4] + "0000")

    run(main())


def test_fifty_people_go_into_one_request(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            people = [str(webex_cloud.add_person(f"p{n}@example.com", f"P {n}").id) for n in range(51)]
            found = await alice.presence.list(people)
            assert [each.person_id for each in found] == [to_hydra_id("PEOPLE", each) for each in people]
            assert len(webex_cloud.requests.find(method="POST", path="/apheleia/api/v1/compositions")) == 2

    run(main())


def test_a_status_is_set_and_cleared(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            found = await alice.presence.set("dnd", seconds=300, label="writing")
            assert (found.status, found.label) == ("dnd", "writing")
            seen = await bob.presence.get(ALICE)
            assert (seen.status, seen.label) == ("dnd", "writing")
            (request,) = webex_cloud.requests.find(method="POST", path="/apheleia/api/v1/events")
            assert request.body == {"subject": ALICE_ID, "eventType": "dnd", "ttl": 300, "label": "writing"}
            await alice.presence.set("dnd", seconds=0)
            assert (await bob.presence.get(ALICE)).status == "active"  # alice has a socket

    run(main())


def test_presence_changes_are_events(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            webex_cloud.set_presence("bob", "active", 600)
            async with alice.presence.subscribe([BOB]) as events:
                assert events.current[BOB].status == "active"
                webex_cloud.set_presence("bob", "meeting")
                (event,) = await take(events)
                assert (event.resource, event.event, event.actor_id) == ("presence", "updated", BOB)
                assert (event.data.person_id, event.data.status) == (BOB, "meeting")
                assert events.current[BOB].status == "meeting"
                webex_cloud.set_presence("bob", "meeting")  # nothing new
                webex_cloud.set_presence("bob", "ooo")
                assert [each.data.status for each in await take(events)] == ["ooo"]
            assert asked(webex_cloud) == [([BOB_ID], 600), ([BOB_ID], 0)]

    run(main())


def test_two_subscriptions_to_one_person_do_not_end_each_other(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, alice.presence.subscribe([BOB]) as first:
            async with alice.presence.subscribe([BOB, ADMIN]) as second:
                webex_cloud.set_presence("bob", "meeting")
                webex_cloud.set_presence("admin", "ooo")
                assert [event.data.status for event in await take(second, 2)] == ["meeting", "ooo"]
            assert [(people, seconds) for people, seconds in asked(webex_cloud) if not seconds] == [([ADMIN_ID], 0)]
            webex_cloud.set_presence("bob", "call")
            webex_cloud.set_presence("admin", "call")
            assert [event.data.status for event in await take(first, 2)] == ["meeting", "call"]

    run(main())


def test_changes_without_a_socket_are_delivered_after_reconnecting(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            webex_cloud.set_presence("bob", "active", 600)
            async with alice.presence.subscribe([BOB], **QUICK) as events:  # type: ignore[arg-type]  # options
                webex_cloud.faults.add("/wdm/*", status=503, count=1)
                with webex_cloud.lock:
                    webex_cloud.mercury.drop("alice", code=1011)
                    webex_cloud.set_presence("bob", "meeting")
                assert [event.data.status for event in await take(events)] == ["meeting"]

    run(main())


def test_a_renewal_announces_nothing_that_is_known(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, alice.listen("presence") as others:
            webex_cloud.set_presence("bob", "active", 600)
            webex_cloud.clock.freeze()  # no renewal comes too late
            async with alice.presence.subscribe([BOB], seconds=1.0):
                await until(lambda: len(asked(webex_cloud)) == 3)
                webex_cloud.set_presence("bob", "meeting")
                assert [event.data.status for event in await take(others)] == ["meeting"]

    run(main())


def test_a_reconnection_renews_once_whatever_handlers_there_are(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            webex_cloud.set_presence("bob", "active", 600)
            async with alice.presence.subscribe([BOB], **QUICK) as events:  # type: ignore[arg-type]  # options
                events.off("connected")
                webex_cloud.mercury.drop("alice", code=1011)
                await until(lambda: len(asked(webex_cloud)) == 2)
                webex_cloud.set_presence("bob", "meeting")
                assert [event.data.status for event in await take(events)] == ["meeting"]
            assert [seconds for _, seconds in asked(webex_cloud)] == [600, 600, 0]

    run(main())


@pytest.mark.parametrize("end", ["the client is closed", "the cloud ends it"])
def test_nothing_is_renewed_after_the_end(webex_cloud: Cloud, end: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            events = await alice.presence.subscribe([BOB], seconds=1.0)
            if end == "the client is closed":
                await alice.aclose()
            else:
                webex_cloud.mercury.drop("alice", code=4400)
            with pytest.raises(RealtimeError):
                await take(events)
            await until(lambda: events._renewing is not None and events._renewing.done())
            await events.stop_listening()

    run(main())


def test_a_stop_while_it_starts_leaves_no_registration(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, alice.listen("presence"):
            events = alice.presence.subscribe([BOB], seconds=1.0)
            with webex_cloud.lock:  # there is no answer before the stop
                starting = asyncio.ensure_future(events.start())
                while not events._lock.locked():
                    await asyncio.sleep(0)
                stopping = asyncio.ensure_future(events.stop_listening())
                await asyncio.sleep(0)
            await asyncio.gather(starting, stopping)
            assert [seconds for _, seconds in asked(webex_cloud)] == [1.0, 0]
            assert events._renewing is None
            assert not alice._app.realtime.manager().watched

    run(main())


def test_the_registration_is_renewed_before_it_ends(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, alice.presence.subscribe([BOB], seconds=1.0):
            await until(lambda: len(asked(webex_cloud)) == 2)
            webex_cloud.faults.add(SUBSCRIBE, status=403, count=1)
            await until(lambda: len(asked(webex_cloud)) == 4)  # the one that failed is tried again

    run(main())


def test_an_unknown_person_ends_the_subscription(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            with pytest.raises(NotFoundError):
                await alice.presence.subscribe([BOB_ID[:-4] + "0000"])
            assert not alice._app.realtime.manager().watched

    run(main())


BAD: dict[str, dict[str, Any]] = {
    "nobody": {"person_ids": []},
    "no time": {"person_ids": [BOB], "seconds": 0},
    "a time that is none": {"person_ids": [BOB], "seconds": "600"},
    "an option that is none": {"person_ids": [BOB], "colour": "red"},
}


@pytest.mark.parametrize("case", BAD)
def test_an_invalid_subscription_is_refused_at_once(webex_cloud: Cloud, case: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            with pytest.raises(ConfigurationError):
                alice.presence.subscribe(**BAD[case])

    run(main())


def test_the_old_name_points_to_the_new_one(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            webex_cloud.set_presence("bob", "meeting")
            with pytest.warns(DeprecationWarning, match=r"presence\.get") as told:
                assert await alice.conversations.presence(BOB) == "meeting"
            assert told[0].filename == __file__

    run(main())


def test_blocking_code_reads_sets_and_follows(webex_cloud: Cloud) -> None:
    with Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice:
        webex_cloud.set_presence("bob", "active", 600)
        assert alice.presence.get(BOB).status == "active"
        assert [each.status for each in alice.presence.list([BOB, ADMIN])] == ["active", "inactive"]
        assert alice.presence.set("ooo").status == "ooo"
        with alice.presence.subscribe([BOB]) as events:
            assert events.current[BOB].status == "active"
            webex_cloud.set_presence("bob", "meeting")
            event = events.get(timeout=20)
            assert (event.data.person_id, event.data.status) == (BOB, "meeting")
        assert asked(webex_cloud)[-1] == ([BOB_ID], 0)
        with pytest.warns(DeprecationWarning, match=r"presence\.get") as told:
            assert alice.conversations.presence(BOB) == "meeting"
        assert told[0].filename == __file__
