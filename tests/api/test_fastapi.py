"""Models in FastAPI: as what a route takes, as what it gives, and in its description."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
import urllib3
from fastapi import Body, FastAPI
from fastapi.openapi.utils import get_openapi

import webex.api
from tests.support.ports import free_port
from tests.web.conftest import Server
from webex.api import Model, Person, Room

MODELS = [
    getattr(webex.api, name)
    for name in webex.api.__all__
    if isinstance(getattr(webex.api, name), type) and issubclass(getattr(webex.api, name), Model)
]


Call = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture
def call() -> Iterator[Call]:
    made = FastAPI()

    @made.post("/shout")
    def shout(room: Annotated[Room, Body()]) -> Room:
        room.title = (room.title or "").upper()
        return room

    @made.get("/rooms", response_model=list[Room])
    def rooms() -> Any:
        return [Room(id="R1"), Room.from_dict({"id": "R2", "brandNew": 1})]

    @made.get("/person")
    def person() -> Person | None:
        return Person.from_dict({"id": "P1", "phoneNumbers": [{"type": "work", "value": "1"}]})

    port = free_port()
    server = Server(made, port)
    with urllib3.PoolManager(retries=False) as pool:
        yield lambda method, path, **more: pool.request(method, f"http://127.0.0.1:{port}{path}", **more)
    server.stop()


def test_a_route_accepts_and_returns_models_with_wire_names(call: Call) -> None:
    answer = call(
        "POST", "/shout", json={"title": "hello", "isLocked": True, "created": "2024-01-01T00:00:00Z", "new": 1}
    )
    assert answer.json() == {"title": "HELLO", "isLocked": True, "created": "2024-01-01T00:00:00Z", "new": 1}
    assert call("GET", "/rooms").json() == [{"id": "R1"}, {"id": "R2", "brandNew": 1}]
    assert call("GET", "/person").json()["phoneNumbers"] == [{"type": "work", "value": "1"}]


@pytest.mark.parametrize("body", [{"isLocked": "maybe"}, {"title": 5}, [], "text", 5, None])
def test_request_bodies_are_validated(call: Call, body: Any) -> None:
    assert call("POST", "/shout", json=body).status == 422


def test_the_openapi_schema_is_complete(call: Call) -> None:
    described = call("GET", "/openapi.json").json()
    assert list(described["paths"]) == ["/shout", "/rooms", "/person"]
    assert not list(_dangling(described))
    room = described["paths"]["/shout"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"title", "isLocked", "lastActivity"} <= set(_properties(room, described))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_has_a_json_schema(model: type[Any]) -> None:
    made = FastAPI()
    made.add_api_route("/it", lambda: None, response_model=model)
    assert not list(_dangling(get_openapi(title="it", version="1", routes=made.routes)))


def test_models_alone_do_not_load_pydantic() -> None:
    script = "import sys; from webex.api import Room; Room(id='x'); sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def _dangling(document: dict[str, Any]) -> Any:
    """References of a document that lead nowhere."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                place: Any = document
                for part in value["$ref"].removeprefix("#/").split("/"):
                    place = place.get(part) if isinstance(place, dict) else None
                if place is None:
                    yield value["$ref"]
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    return walk(document)


def _properties(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        place: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        return _properties(place, document)
    properties: dict[str, Any] = schema["properties"]
    return properties
