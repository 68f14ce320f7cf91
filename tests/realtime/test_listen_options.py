"""What listeners are told: options that make sense, whose keys are whose, and addresses that others chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take, texts
from tests.realtime.test_failing_closed import key_of
from webex import AsyncIntegration
from webex.emulator.cloud import Cloud
from webex.encryption.scr import SCR
from webex.errors import ConfigurationError, ConnectError, DecryptionError, EncryptionError
from webex.http.pipeline import Pipeline
from webex.http.types import Request
from webex.realtime.hub import RealtimeHub

APP = {"client_id": "any", "client_secret": "any", "redirect_uri": "http://127.0.0.1/"}


def refusal(cloud: Cloud, *resources: Any, **options: Any) -> str:
    """What `listen` says against it, before anything is asked of the cloud; a hub says the same."""

    async def main() -> str:
        async with client_of(cloud, "bob") as bob:
            with pytest.raises(ConfigurationError) as told:
                bob.listen(*resources, **options)
        async with AsyncIntegration(**APP, emulator_url=cloud.url) as integration:
            with pytest.raises(ConfigurationError) as once_more:
                RealtimeHub(integration, *resources, **options)
        assert str(once_more.value) == str(told.value)
        assert cloud.requests.find(path="/wdm/*") == []
        return str(told.value)

    return run(main())


# Options


def test_an_unknown_option_is_refused_with_the_known_ones(webex_cloud: Cloud) -> None:
    told = refusal(webex_cloud, max_size=3)
    assert "'max_size'" in told
    for name in ("max_queue", "overflow", "device_name", "ephemeral", "catch_up", "first_pause", "ping_interval"):
        assert name in told


WRONG: list[tuple[str, Any, str]] = [
    ("max_queue", "3", "int"),
    ("max_queue", 1.5, "int"),
    ("max_queue", True, "int"),
    ("max_queue", None, "int"),
    ("overflow", 1, "str"),
    ("device_name", b"bot", "str"),
    ("device_name", None, "str"),
    ("ephemeral", 1, "bool"),
    ("ephemeral", "yes", "bool"),
    ("catch_up", "a day", "int or float"),
    ("first_pause", False, "int or float"),
    ("first_pause", [1], "int or float"),
    ("pong_timeout", "14", "int or float"),
]


@pytest.mark.parametrize(("name", "value", "kind"), WRONG)
def test_an_option_of_the_wrong_type_is_refused_with_the_expected(
    webex_cloud: Cloud, name: str, value: Any, kind: str
) -> None:
    assert refusal(webex_cloud, **{name: value}) == f"{name} is {value!r}; it takes {kind}."


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), float("-inf")])
@pytest.mark.parametrize("name", ["catch_up", "first_pause", "ping_interval", "pong_timeout"])
def test_a_negative_number_is_refused(webex_cloud: Cloud, name: str, value: float) -> None:
    assert refusal(webex_cloud, **{name: value}).startswith(f"{name} is {value!r}; ")


def test_an_empty_queue_size_is_refused(webex_cloud: Cloud) -> None:
    assert "1 or more" in refusal(webex_cloud, max_queue=0)
    assert refusal(webex_cloud, max_queue=-1).startswith("max_queue is -1; ")


def test_an_empty_device_name_and_an_unknown_policy_are_refused(webex_cloud: Cloud) -> None:
    assert "not empty" in refusal(webex_cloud, device_name="")
    assert "'drop_oldest'" in refusal(webex_cloud, overflow="drop_newest")


# Resources and events


@pytest.mark.parametrize("resources", [(), [], "", "message", ["messages", "calls"], [1], [["messages"]]], ids=repr)
def test_unknown_resources_are_refused_with_the_known_ones(webex_cloud: Cloud, resources: Any) -> None:
    told = refusal(webex_cloud, resources)
    for name in ("attachmentActions", "memberships", "messages", "rooms", "typing"):
        assert name in told


def test_one_resource_may_be_given_as_text(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            async with bob.listen("messages", **QUICK) as events:
                room = await shared_room(alice)  # which says nothing to who hears of messages
                await say(alice, room, "heard")
                assert texts(await take(events)) == ["heard"]

    run(main())


def test_an_unknown_event_cannot_be_awaited(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            events = bob.messages.listen()
            for wait in (events.on, events.once):
                with pytest.raises(ConfigurationError, match=r"'create'.*created.*gap"):
                    wait("create", print)
                with pytest.raises(ConfigurationError, match="a function"):
                    wait("created", "print")  # type: ignore[arg-type]  # that is the mistake

    run(main())


# Beside others


def test_conflicting_options_on_one_device_are_refused(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as first:
                for different in ({"first_pause": 0.5}, {"ephemeral": True}, {"catch_up": False}):
                    with pytest.raises(ConfigurationError, match=f"{next(iter(different))}.*device_name"):
                        bob.messages.listen(**different)
                async with (
                    bob.messages.listen(**QUICK) as same,
                    bob.messages.listen() as silent,
                    bob.messages.listen(max_queue=3, overflow="raise") as own_queue,
                    bob.messages.listen(ephemeral=True, device_name="another") as other,
                ):
                    assert webex_cloud.mercury.opened_count == 2
                    await say(alice, room, "heard")
                    for events in (first, same, silent, own_queue, other):
                        assert texts(await take(events)) == ["heard"]
            async with bob.messages.listen(first_pause=0.5) as later:  # nobody else listens any more
                await say(alice, room, "later")
                assert texts(await take(later)) == ["later"]

    run(main())


# Whose it is


def test_a_key_of_one_person_decrypts_nothing_for_another(webex_cloud: Cloud) -> None:
    webex_cloud.add_person("carol@example.com")

    async def main() -> None:
        integration = AsyncIntegration(**APP, emulator_url=webex_cloud.url)
        async with client_of(webex_cloud) as alice, integration:
            room = await shared_room(alice, "bob@example.com", "carol@example.com")
            bob, carol = (integration.client_for(webex_cloud.token_for(who)) for who in ("bob", "carol"))
            async with bob.messages.listen(**QUICK) as his:
                await say(alice, room, "one")
                assert texts(await take(his)) == ["one"]
                webex_cloud.kms.set_faults(by_key={key_of(webex_cloud, room).uri: {"status": 403, "reason": "no"}})
                async with carol.messages.listen(**QUICK) as hers:
                    await say(alice, room, "two")
                    assert texts(await take(his)) == ["two"]
                    (encrypted,) = await take(hers)
        assert isinstance(encrypted.decryption_error, DecryptionError)
        assert encrypted.data.text is None

    run(main())


# Files


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What would have been fetched."""
    requests: list[Request] = []

    async def stream(pipeline: Pipeline, request: Request, tokens: Any) -> Any:
        requests.append(request)
        raise ConnectError("There is no network.")

    monkeypatch.setattr(Pipeline, "stream", stream)
    return requests


def file_at(address: str) -> dict[str, Any]:
    """A file whose sender says that it is there."""
    scr = SCR.new()
    scr.loc, scr.tag = address, bytes(16)
    return {"scr": scr}


@pytest.mark.parametrize(
    "address",
    [
        "http://files.example.com/1",
        "https://10.0.0.1/1",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/1",
        "https://[fd00:ec2::254]/1",
        "https://0x7f000001/1",
        "https://2130706433/1",
        "https://127.1/1",
        "https://localhost/1",
        "https://intranet/1",
        "https://files.example.com@10.0.0.1/1",
        "https://user@files.example.com/1",
        "https://[broken/1",
        "file:///etc/passwd",
        "//files.example.com/1",
        "",
    ],
)
def test_a_file_at_a_private_address_is_not_fetched(
    webex_cloud: Cloud, tmp_path: Path, fetched: list[Request], address: str
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(EncryptionError, match="not fetched"):
                await bob.conversations.download(file_at(address), tmp_path / "file")

    run(main())
    assert fetched == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_at_a_public_address_is_fetched_without_the_token(
    webex_cloud: Cloud, tmp_path: Path, fetched: list[Request]
) -> None:
    address = "https://files.example.com/1"

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(ConnectError):
                await bob.conversations.download(file_at(address), tmp_path / "file")

    run(main())
    assert [(request.url, request.auth) for request in fetched] == [(address, "none")]
    assert list(tmp_path.iterdir()) == []
