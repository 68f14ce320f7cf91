"""Many users in one process."""

from __future__ import annotations

import pytest

from tests.realtime.helpers import QUICK, client_of, run
from webex import AsyncIntegration, Integration, RealtimeHub
from webex.emulator import accounts
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, NotSignedInError

APP = {
    "client_id": accounts.CLIENT_ID,
    "client_secret": accounts.CLIENT_SECRET,
    "redirect_uri": accounts.REDIRECT_URIS[0],
}


def test_all_users_are_heard_over_one_stream_and_have_their_health(webex_cloud: Cloud) -> None:
    async def main() -> None:
        people = [webex_cloud.add_person(f"user{number}@example.com") for number in range(12)]
        integration = AsyncIntegration(**APP, emulator_url=webex_cloud.url)
        async with client_of(webex_cloud) as alice, integration, RealtimeHub(integration, **QUICK) as hub:
            for person in people:
                await integration.adopt(person.id, webex_cloud.token_for(person.email))
            failed = await hub.add_all([*(person.id for person in people), "nobody"])
            assert list(failed) == ["nobody"]
            assert isinstance(failed["nobody"], NotSignedInError)
            assert len(hub.users) == webex_cloud.mercury.connections() == 12
            for person in people:
                await alice.messages.create(to_person_email=person.email, text=f"for {person.id}")
            heard: dict[str, str] = {}
            async for event in hub.events():
                if event.resource == "messages":
                    heard[str(event.user_key)] = event.data.text
                if len(heard) == 12:
                    break
            assert heard == {person.id: f"for {person.id}" for person in people}
            health = hub.health(people[0].id)
            assert health is not None
            assert health.connected
            assert health.last_event is not None
            await hub.remove(people[0].id)
            assert hub.health(people[0].id) is None
            assert webex_cloud.mercury.connections() == 11
        assert webex_cloud.mercury.connections() == 0

    run(main())


def test_it_takes_an_integration_for_event_loops(webex_cloud: Cloud) -> None:
    with Integration(**APP, emulator_url=webex_cloud.url) as integration, pytest.raises(ConfigurationError):
        RealtimeHub(integration)
