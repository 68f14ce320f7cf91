"""Every error and model survives pickle, copy and deepcopy; what holds connections says what to do instead."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import multiprocessing
import pickle
import pkgutil
import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import webex
from tests.errors.raising import not_found
from webex import AsyncIntegration, AsyncWebex, Integration, Webex
from webex.errors import ApiError, NotFoundError, OAuthError, RequestInfo, WebexError
from webex.models.base import Model

_SKIPPED = ("webex.demo", "webex.web.django", "webex.storage.django", "webex.testing.plugin", "webex.cli")
WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle{n}": lambda it, n=n: pickle.loads(pickle.dumps(it, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def _modules() -> list[types.ModuleType]:
    found = []
    for info in pkgutil.walk_packages(webex.__path__, "webex."):
        if info.name.startswith(_SKIPPED) or info.name.endswith("__main__"):
            continue
        try:
            found.append(importlib.import_module(info.name))
        except ImportError:  # an extra that is not installed here
            continue
    return found


def _classes(base: type) -> list[type]:
    return sorted(
        {
            item
            for module in _modules()
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, base) and item.__module__.startswith("webex.")
        },
        key=lambda cls: (cls.__module__, cls.__qualname__),
    )


# Also those of the emulator; not what never leaves the module that it was raised in.
_INNER = {"Closed", "Problem", "OAuthProblem", "Refused"}
ERRORS = [
    cls
    for cls in _classes(BaseException)
    if not cls.__name__.startswith("_")
    and cls.__name__ not in _INNER
    and cls.__module__ != "webex.emulator.oauth.authorize"
]
MODELS = _classes(Model)


def _argument(name: str) -> Any:
    special = {
        "status": 404,
        "error_code": 7,
        "code": 4409,
        "retry_after": 2.5,
        "errors": ["one", "two"],
        "request": RequestInfo("GET", "https://webexapis.com/v1/rooms", "id"),
        "headers": types.MappingProxyType({"trackingid": "id"}),
        "body": {"message": "gone", "list": [1, None]},
        "ready": True,
        "refused": 401,
        "number": 3,
        "after": 5.0,
    }
    return special.get(name, f"the {name}")


def _made(cls: type[BaseException]) -> BaseException:
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    positional, named = [], {}
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.append("what happened")
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = _argument(parameter.name)
        elif parameter.kind is not parameter.VAR_KEYWORD:
            positional.append(_argument(parameter.name))
    return cls(*positional, **named)


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_error_survives(cls: type[BaseException]) -> None:
    error = _made(cls)
    error.add_note("while the rooms were read")

    for name, way in WAYS.items():
        again = way(error)
        assert type(again) is cls, name
        assert str(again) == str(error), name
        assert repr(again) == repr(error), name
        assert again.args == error.args, name
        assert vars(again) == vars(error), name


class _Detailed(NotFoundError):
    def __init__(self, room: str, place: int, *, colour: str) -> None:
        super().__init__(f"{room} at {place}", status=404)
        self.room, self.place, self.colour = room, place, colour


class _Slotted(OAuthError):
    __slots__ = ("extra",)

    def __init__(self, extra: object) -> None:
        super().__init__("invalid_grant", "used")
        self.extra = extra


@pytest.mark.parametrize("way", WAYS)
def test_subclass_with_other_arguments_survives(way: str) -> None:
    again = WAYS[way](_Detailed("a room", 3, colour="red"))

    assert (again.room, again.place, again.colour, again.status, str(again)) == (
        "a room",
        3,
        "red",
        404,
        "404: a room at 3",
    )


@pytest.mark.parametrize("way", ["pickle2", "pickle5", "copy", "deepcopy"])
def test_subclass_with_slots_survives(way: str) -> None:
    again = WAYS[way](_Slotted([1, 2]))

    assert (again.extra, again.error, again.description) == ([1, 2], "invalid_grant", "used")


def test_error_that_refers_to_itself_is_copied() -> None:
    error = ApiError("teapot", status=418)
    error.body = {"why": error}

    again = copy.deepcopy(error)

    assert again.body["why"] is again


def test_error_comes_out_of_a_process_pool() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(NotFoundError) as caught:
            pool.map_async(not_found, [1]).get(60)

    assert (caught.value.status, caught.value.errors, caught.value.tracking_id) == (404, ["sorry"], "id")


@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
def test_model_survives(cls: type[Model]) -> None:
    data: dict[str, Any] = {"unknownHere": {"deep": [1, "two", None]}}
    for field, wire in zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True):
        data[wire] = "2026-01-02T03:04:05.678Z" if "created" in field else f"a {field}"
    model = cls.from_dict(data)

    for name, way in WAYS.items():
        again = way(model)
        assert type(again) is cls, name
        assert again == model, name
        assert again.to_dict() == model.to_dict() == data, name
        assert again.extra == model.extra, name


def _example(kind: Any) -> Any:
    """A value for a field of a plain class, by its type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return arguments[0]
    if origin in (typing.Union, types.UnionType):
        return _example(arguments[0])
    if origin in (frozenset, list, tuple, set):
        return origin()
    if kind is datetime:
        return datetime.now(UTC)
    if kind in (str, int, float, bool, bytes):
        return kind(1) if kind is not bytes else b"1"
    if dataclasses.is_dataclass(kind):
        return _filled(kind)
    return {}


def _filled(cls: Any) -> Any:
    hints = typing.get_type_hints(cls)
    return cls(**{field.name: _example(hints[field.name]) for field in dataclasses.fields(cls) if field.init})


@pytest.mark.parametrize(
    "name",
    ["api.files.FileInfo", "api.paging.Page", "api.session.RawResponse", "http.types.Response", "errors.RequestInfo"]  # noqa: RUF005  # two lines
    + ["auth.login.User", "auth.login.SignedIn", "auth.login.Login", "auth.tokens.TokenSet", "realtime.event.Audience"],
)
def test_plain_result_survives(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    cls = getattr(importlib.import_module(f"webex.{module}"), attribute)
    made = _filled(cls)

    assert all(way(made) == made for name, way in WAYS.items() if name not in ("pickle0", "pickle1"))


def test_realtime_event_survives_without_its_subscription() -> None:
    from webex.errors import DecryptionError
    from webex.realtime.event import Audience, Event, Occurrence

    occurrence = Occurrence("messages", "created", "a-person", {"id": "m", "text": "hello"})
    event: Event[Any] = Event(occurrence, Audience("me"), {"id": "a"}, decryption_error=DecryptionError("no key"))
    event.receipt = typing.cast("Any", object())

    for way in WAYS.values():
        again = way(event)
        assert again.data.text == "hello"
        assert again.to_dict() == event.to_dict()
        assert str(again.decryption_error) == "no key"
        again.ack()
        assert event.receipt is not None


def _clients() -> dict[str, Any]:
    blocking = Webex("a-token")
    app = {"client_id": "C1", "client_secret": "a-secret", "redirect_uri": "https://app.example.com/cb"}
    integration = Integration(**app)
    return {
        "client": blocking,
        "async client": AsyncWebex("a-token"),
        "integration": integration,
        "async integration": AsyncIntegration(**app),
        "view": integration.user("me"),
        "resource": blocking.rooms,
        "pages": blocking.rooms.list(),
        "subscription": blocking.messages.listen(),
    }


@pytest.mark.parametrize("kind", ["client", "async client", "integration", "async integration", "view", "resource"])
def test_pickling_a_client_explains_the_alternative(kind: str) -> None:
    made = _clients()[kind]
    for way in WAYS.values():
        with pytest.raises(TypeError, match=r"can't be pickled or copied.*(other process|initializer)"):
            way(made)


@pytest.mark.parametrize(
    ("kind", "advice"), [("pages", r"pages\.to_list\(\)"), ("subscription", r"event\.to_dict\(\)")]
)
def test_pickling_parts_of_a_client_explains_the_alternative(kind: str, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        pickle.dumps(_clients()[kind])


def test_every_error_of_the_tree_is_tested() -> None:
    assert {cls for cls in ERRORS if issubclass(cls, WebexError)} >= {
        item for item in vars(webex.errors).values() if isinstance(item, type) and issubclass(item, WebexError)
    }
