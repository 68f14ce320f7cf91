"""Arguments, methods and fields in the spelling of the wire or of the Node SDK."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from webex import AsyncIntegration, AsyncWebex, Integration, Webex
from webex import api as resources
from webex.api import Message, Room
from webex.api.resource import AsyncResource, Resource
from webex.config.spelling import snake
from webex.errors import ConfigurationError

CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("rooms", "list", {"max": 10}, r"limit=.*page_size="),
    ("messages", "list", {"roomId": "R", "max": 10}, r"room_id|limit="),
    ("messages", "list", {"roomId": "R"}, "room_id="),
    ("messages", "create", {"roomId": "R", "text": "x"}, "room_id="),
    ("messages", "create", {"toPersonEmail": "a@example.com", "text": "x"}, "to_person_email="),
    ("messages", "create", {"room_id": "R", "parentId": "x"}, "parent_id="),
    ("messages", "create", {"room_id": "R", "body": "x"}, "markdown="),
    ("messages", "create", {"room_id": "R", "file": "x"}, "files="),
    ("memberships", "create", {"roomId": "R", "personEmail": "a@example.com"}, "room_id="),
    ("memberships", "create", {"room_id": "R", "personEmail": "a@example.com"}, "person_email="),
    ("memberships", "create", {"room_id": "R", "email": "a@example.com"}, "person_email="),
    ("memberships", "list", {"room_id": "R", "max": 5}, "limit="),
    ("people", "list", {"displayName": "x"}, "display_name="),
    ("rooms", "create", {"title": "x", "teamId": "T"}, "team_id="),
    ("rooms", "create", {"name": "x"}, "title="),
    ("rooms", "get", {"roomID": "R"}, "room_id="),
    ("rooms", "get", {"id": "R"}, "room_id="),
    ("rooms", "list", {"sortby": "created"}, "sort_by="),
    ("rooms", "list", {"from": "2026-01-01"}, "from_="),
    ("webhooks", "create", {"targetUrl": "x"}, "target_url="),
    ("team_memberships", "create", {"teamId": "T"}, "team_id="),
    ("attachment_actions", "create", {"messageId": "M"}, "message_id="),
    ("events", "list", {"actorId": "A"}, "actor_id="),
]


@pytest.mark.parametrize(("resource", "method", "arguments", "ours"), CALLS)
@pytest.mark.parametrize("make", [Webex, AsyncWebex])
def test_foreign_argument_spellings_suggest_ours(
    make: Any, resource: str, method: str, arguments: dict[str, Any], ours: str
) -> None:
    call = getattr(getattr(make("T"), resource), method)
    with pytest.raises(ConfigurationError, match=ours) as caught:
        result = call(**arguments)
        if inspect.iscoroutine(result):
            result.send(None)
    assert isinstance(caught.value, TypeError)


def resource_classes() -> list[type]:
    found = [getattr(resources, name) for name in resources.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, Resource | AsyncResource)]


@pytest.mark.parametrize("cls", resource_classes(), ids=lambda cls: cls.__name__)
def test_every_method_refuses_camel_case_with_our_name(cls: type) -> None:
    made = cls(None)
    for name, function in inspect.getmembers(cls, inspect.isfunction):
        if name.startswith("_"):
            continue
        for argument in inspect.signature(function).parameters:
            words = argument.split("_")
            camel = words[0] + "".join(word.title() for word in words[1:])
            if camel == argument or argument == "self":
                continue
            assert snake(camel) == argument.rstrip("_")
            with pytest.raises(ConfigurationError, match=f"{argument}="):
                result = getattr(made, name)(**{camel: "x"})
                if inspect.iscoroutine(result):
                    result.send(None)


def test_a_mapping_instead_of_arguments_names_the_call() -> None:
    with pytest.raises(ConfigurationError, match=r"create\(title=…, team_id=…\)"):
        Webex("T").rooms.create({"title": "x", "teamId": "T"})  # type: ignore[call-arg, misc]  # the point of the test


def test_other_type_errors_are_unchanged() -> None:
    with pytest.raises(TypeError, match="title") as caught:
        Webex("T").rooms.create()  # type: ignore[call-arg]  # the point of the test
    assert not isinstance(caught.value, ConfigurationError)


def test_methods_keep_their_signatures() -> None:
    assert "room_id" in inspect.signature(Webex("T").messages.create).parameters
    assert inspect.iscoroutinefunction(AsyncWebex("T").rooms.get)
    assert not inspect.iscoroutinefunction(AsyncWebex("T").rooms.list)


def test_conversations_suggest_our_arguments() -> None:
    from webex.realtime.conversations import Conversations

    with pytest.raises(ConfigurationError, match="room_id="):
        Conversations.post(object(), roomId="R").send(None)  # type: ignore[call-arg, arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("attachmentActions", "attachment_actions"),
        ("teamMemberships", "team_memberships"),
        ("canAuthorize", "can_authorize"),
        ("getUserToken", "get_user_token"),
        ("internal", "conversations"),
        ("once", "ready"),
        ("rooms.remove", "delete"),
        ("messages.on", "listen"),
        ("messages.stopListening", "stop_listening"),
        ("people.getMany", "get_many"),
        ("credentials.buildLoginUrl", "build_login_url"),
        ("credentials.getOrgId", "get_org_id"),
        ("authorization.requestAuthorizationCodeGrant", "request_authorization_code_grant"),
    ],
)
@pytest.mark.parametrize("make", [Webex, AsyncWebex])
def test_foreign_attributes_suggest_ours(make: Any, path: str, ours: str) -> None:
    owner: Any = make("T")
    *inner, last = path.split(".")
    for part in inner:
        owner = getattr(owner, part)
    with pytest.raises(AttributeError, match=ours):
        getattr(owner, last)
    assert not hasattr(owner, last)


@pytest.mark.parametrize("make", [Integration, AsyncIntegration])
def test_foreign_integration_attributes_suggest_ours(make: Any) -> None:
    with pytest.raises(AttributeError, match="build_login_url"):
        make(client_id="C").buildLoginUrl  # noqa: B018 - reading it is the point


def test_wire_names_of_model_fields_suggest_ours() -> None:
    message = Message.from_dict({"roomId": "R", "somethingNew": 1})
    with pytest.raises(AttributeError, match="room_id"):
        message.roomId  # type: ignore[attr-defined]  # noqa: B018 - the point of the test
    with pytest.raises(AttributeError, match=r"\['somethingNew'\]"):
        message.somethingNew  # type: ignore[attr-defined]  # noqa: B018 - the point of the test
    assert getattr(Room.from_dict({}), "nothing", None) is None


@pytest.mark.parametrize("option", ["returnTo", "userKey", "return_url"])
def test_begin_login_options_suggest_ours(option: str) -> None:
    integration = Integration(client_id="C", client_secret="S", redirect_uri="http://127.0.0.1/cb", scope="openid")
    with pytest.raises(ConfigurationError, match=r"return_to|user_key"):
        integration.begin_login(**{option: "/x"})  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("make", "method", "arguments", "ours"),
    [
        (AsyncWebex, "get_user_token", {"scopes": "x"}, "scope="),
        (AsyncWebex, "request", {"method": "GET", "url": "/rooms", "queryParams": {}}, "request"),
        (AsyncIntegration, "finish_login", {"params": "", "browserSecret": "x"}, "browser="),
        (AsyncIntegration, "user", {"userKey": "x"}, "key="),
        (AsyncIntegration, "service_app", {"applicationId": "x"}, "application_id="),
        (AsyncIntegration, "begin_device_login", {"scopes": "x"}, "scope="),
    ],
)
def test_clients_and_integrations_suggest_our_arguments(
    make: Any, method: str, arguments: dict[str, Any], ours: str
) -> None:
    owner = make("T") if make is AsyncWebex else make(client_id="C")
    with pytest.raises(ConfigurationError, match=ours):
        result = getattr(owner, method)(**arguments)
        if inspect.iscoroutine(result):
            result.send(None)


@pytest.mark.parametrize("style", [Webex, AsyncWebex])
def test_credentials_suggest_our_arguments(style: Any) -> None:
    client = style(client_id="C", client_secret="S", redirect_uri="http://127.0.0.1/cb")
    with pytest.raises(ConfigurationError, match="code_verifier="):
        result = client.authorization.request_authorization_code_grant(code="x", codeVerifier="y")
        if inspect.iscoroutine(result):
            result.send(None)
