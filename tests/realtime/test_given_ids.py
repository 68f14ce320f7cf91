"""Ids that a caller gives: what is none is a ConfigurationError in every public method, before anything is asked."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import pytest

from tests.realtime.helpers import client_of, run
from webex import AsyncWebex, Webex
from webex.api.resource import AsyncResource
from webex.emulator.accounts import ALICE_ID, BOB_ID
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError
from webex.ids import to_hydra_id

ROOM: Final = to_hydra_id("ROOM", ALICE_ID)
MESSAGE: Final = to_hydra_id("MESSAGE", ALICE_ID)
PERSON: Final = to_hydra_id("PEOPLE", BOB_ID)
GOOD: Final[dict[str, Any]] = {
    "room_id": ROOM,
    "message_id": MESSAGE,
    "message": MESSAGE,
    "activity_id": MESSAGE,
    "parent_id": MESSAGE,
    "person_id": PERSON,
    "person_ids": [PERSON],
    "text": "hello",
    "file": b"hello",
    "name": "heart",
    "reaction": "heart",
    "title": "A title",
}
BAD: Final[tuple[Any, ...]] = ("", "no id", 7, b"no id", "bob@example.com")
WITH_CONTENT: Final = {  # of the REST resources, what is done by the conversation service
    "messages": ("mark_read", "react", "unreact", "reactions"),
    "rooms": ("read_status",),
    "memberships": ("read_status",),
}
OWN: Final = ("room_id", "message_id", "message", "activity_id", "parent_id", "person_id", "person_ids")


def calls(client: Any) -> Iterator[tuple[Callable[..., Any], str]]:
    """Every method of the conversation service that takes ids, with each name of an id."""
    methods = [
        method
        for owner in (client.conversations, client.presence)
        for name, method in inspect.getmembers(owner, callable)
        if not name.startswith("_")
    ]
    methods += [getattr(getattr(client, name), each) for name, those in WITH_CONTENT.items() for each in those]
    for method in methods:
        for name in inspect.signature(method).parameters:
            if name in OWN:
                yield method, name


def arguments(method: Callable[..., Any], name: str, bad: Any) -> dict[str, Any]:
    parameters = inspect.signature(method).parameters.values()
    given = {each.name: GOOD[each.name] for each in parameters if each.default is each.empty and each.name in GOOD}
    if method.__name__ == "share":
        given["text"] = "hello"
    if method.__name__ in ("post", "edit"):
        given["text"] = "hello"
    if method.__name__ == "update":
        given["title"] = "A title"
    return {**given, name: bad}


@pytest.mark.filterwarnings("ignore:conversations.presence:DeprecationWarning")
def test_what_is_no_id_is_refused_by_every_method_before_anything_is_asked(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            refused = set[str]()
            for method, name in calls(alice):
                for bad in BAD:
                    with pytest.raises(ConfigurationError):
                        made = method(**arguments(method, name, [bad] if name == "person_ids" else bad))
                        if isinstance(made, Awaitable):
                            await made
                    refused.add(f"{method.__name__}({name})")
            assert webex_cloud.requests.find(path="/*") == []
            assert len(refused) >= 30
            assert {"post(room_id)", "create(person_ids)", "unreact(message)", "activity(activity_id)"} <= refused

    run(main())


@pytest.mark.filterwarnings("ignore:conversations.presence:DeprecationWarning")
def test_blocking_code_gets_the_same_errors(webex_cloud: Cloud) -> None:
    with Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice:
        for method, name in calls(alice):
            with pytest.raises(ConfigurationError):
                made = method(**arguments(method, name, "no id"))
                if method.__name__ == "subscribe":
                    made.start()


def test_a_path_takes_no_empty_id_and_nothing_but_text(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            tried = 0
            for resource in resources(alice):
                for name, method in inspect.getmembers(resource, callable):
                    parameters = [] if name.startswith("_") else [*inspect.signature(method).parameters.values()]
                    if not parameters or not is_in_path(parameters[0]) or any(map(is_required, parameters[1:])):
                        continue
                    for bad in ("", 7, " id", None):
                        with pytest.raises(ConfigurationError):
                            await method(bad)
                        tried += 1
            assert tried >= 80
            for several in ([7], [""], "one"):
                with pytest.raises(ConfigurationError):
                    await alice.people.get_many(several)  # type: ignore[arg-type]  # that is what is tried
            assert webex_cloud.requests.find(path="/*") == []

    run(main())


def resources(client: AsyncWebex) -> Iterator[AsyncResource]:
    """The resources of the REST API."""
    for name, value in vars(AsyncWebex).items():
        if isinstance(value, property):
            found = getattr(client, name)
            if isinstance(found, AsyncResource):
                yield found


def is_in_path(parameter: inspect.Parameter) -> bool:
    """Whether a method's first argument is an id in the path."""
    positional = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    return positional and is_required(parameter) and parameter.name.endswith("_id")


def is_required(parameter: inspect.Parameter) -> bool:
    """Whether a method can't be called without this argument."""
    return parameter.default is parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD
