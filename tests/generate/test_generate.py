"""What is generated is what the facts say, to the byte; and odd descriptions become code all the same."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import tools.generate.__main__ as command
from tools.generate import code, facts


def test_the_committed_code_is_up_to_date() -> None:
    different = [path.name for path, text in command.write_code().items() if path.read_text("utf-8") != text]
    assert different == []


def test_there_are_no_other_files_among_the_generated_ones() -> None:
    written = {path.name for path in command.write_code() if path.parent == command.GENERATED}
    former = {"models.py"}  # by hand: the former place of the models, which pickles of 0.1.0 name
    assert {path.name for path in command.GENERATED.glob("*.py")} - former == written


def test_a_file_that_was_edited_by_hand_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = tmp_path / "rooms.py"
    edited.write_text("edited\n")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "write_code", lambda: {edited: "generated\n"})
    assert command.main(["code", "--check"]) == 1
    assert edited.read_text() == "edited\n"
    assert "differs: rooms.py" in capsys.readouterr().out
    assert command.main(["code"]) == 0
    assert edited.read_text() == "generated\n"
    assert command.main(["code", "--check"]) == 0


def test_all_59_operations_of_the_messaging_api_are_there() -> None:
    known = json.loads((command.FACTS / "messaging.json").read_text("utf-8"))
    assert len(known["operations"]) == 59
    methods = 0
    for text in code.resources([known]).values():
        for made in ast.parse(text).body:
            if isinstance(made, ast.ClassDef) and made.name.startswith("Async"):
                methods += len([part for part in made.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)])
    assert methods == 58  # messages.create is written by hand


def test_facts_added_by_hand_are_kept_when_the_facts_are_made_anew() -> None:
    committed = (command.FACTS / "messaging.json").read_text("utf-8")
    described, added = json.loads(committed), command.additions()["messaging.json"]
    for addition in added:
        schema = described["schemas"][addition["schema"]]
        assert addition["field"] in schema["fields"], "additions.json and messaging.json differ"
        schema["fields"].remove(addition["field"])
    assert facts.write(facts.add(described, added)) == committed
    assert facts.write(facts.add(json.loads(committed), added)) == committed, "the description has them by now"


def description(paths: dict[str, Any], schemas: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"paths": paths, "components": {"schemas": schemas or {}}}


def operation(operation_id: str = "", **more: Any) -> dict[str, Any]:
    return {"tags": ["Things"], "operationId": operation_id, "responses": {}, "description": "Prose.", **more}


def answering(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"content": {"application/json": {"schema": schema}}}}


def read(document: dict[str, Any]) -> dict[str, Any]:
    known = facts.Facts(document).read("test.json")
    for text in [code.models([known]), code.operations([known]), *code.resources([known]).values()]:
        compile(text, "generated", "exec")
    return known


def path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def test_operations_with_equal_names_are_disambiguated() -> None:
    one = operation("Get v1", parameters=[path_parameter("id")])
    known = read(
        description(
            {
                "/v3/things/{id}": {"get": {**one, "operationId": "Get v3!"}},
                "/things/{id}": {"get": one},
                "/v4/things/{id}": {"get": {**one, "operationId": ""}},
                "/things": {"delete": operation("Delete all")},
                "/things/{id}/sub/{sub}": {"delete": operation("Delete all", parameters=[path_parameter("id")])},
            }
        )
    )
    names = {item["path"]: item["name"] for item in known["operations"]}
    assert names == {
        "/things/{id}": "get",
        "/v3/things/{id}": "get_v3",
        "/v4/things/{id}": "get_v4_things_by_id",
        "/things": "delete",
        "/things/{id}/sub/{sub}": "delete_all",
    }


def test_fields_with_equal_argument_names_are_disambiguated() -> None:
    body = {"properties": {"id": {"type": "string"}, "fooBar": {"type": "string"}, "foo_bar": {"type": "string"}}}
    query = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("id", "limit", "class", "self")]
    known = read(
        description(
            {
                "/things/{id}": {
                    "put": operation(
                        parameters=[path_parameter("id"), *query],
                        requestBody={"content": {"application/json": {"schema": body}}},
                    )
                }
            }
        )
    )
    (text,) = code.resources([known]).values()
    assert '"id": query_id' in text
    assert '"id": body_id' in text
    assert '"limit": query_limit' in text
    assert '"class": class_' in text
    assert '"foo_bar": body_foo_bar' in text


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "date-time"}, "timestamp"),
        ({"type": "string", "example": "2024-01-01T00:00:00Z"}, "timestamp"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, [["number"]]),
        ({"type": "array"}, ["any"]),
        ({"type": "object"}, "any"),
        ({}, "any"),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, "any"),
        ({"oneOf": [{"type": "boolean"}]}, "boolean"),
        ({"allOf": [{"$ref": "#/components/schemas/Part"}, {"properties": {"more": {"type": "string"}}}]}, "#OwnerIt"),
        ({"type": "object", "properties": {"deep": {"properties": {"x": {"type": "string"}}}}}, "#OwnerIt"),
        ({"$ref": "#/components/schemas/Enum"}, "string"),
    ],
)
def test_every_kind_of_schema_has_a_type(schema: dict[str, Any], kind: Any) -> None:
    schemas = {
        "Owner": {"properties": {"it": schema}},
        "Part": {"properties": {"part": {"type": "string"}}},
        "Enum": {"type": "string", "enum": ["a", "b"]},
    }
    answer = answering({"$ref": "#/components/schemas/Owner"})
    known = read(description({"/things/{id}": {"get": operation(responses=answer)}}, schemas))
    assert known["schemas"]["Owner"]["fields"][0]["type"] == kind


def test_a_schema_may_refer_to_itself() -> None:
    schemas = {"Tree": {"properties": {"branches": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}}}
    answer = answering({"$ref": "#/components/schemas/Tree"})
    known = read(description({"/things/{id}": {"get": operation(responses=answer)}}, schemas))
    assert known["schemas"]["Tree"]["fields"] == [{"name": "branches", "type": ["#Tree"]}]


def test_prose_is_left_out() -> None:
    parameter = {**path_parameter("id"), "description": "Prose of a parameter."}
    text = facts.write(read(description({"/things/{id}": {"get": operation("Prose", parameters=[parameter])}})))
    assert "Prose" not in text


def test_facts_do_not_depend_on_the_order_of_the_description() -> None:
    paths = {f"/things/{name}": {"get": operation(name), "post": operation(f"post {name}")} for name in "abc"}
    turned = dict(reversed(paths.items()))
    assert facts.write(read(description(paths))) == facts.write(read(description(turned)))
