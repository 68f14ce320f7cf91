"""First stage: OpenAPI becomes compact facts of our own format. Prose stays behind.

An operation: resource, name, method, path, scopes, `path_params`, `query` and `body` (each a list of fields), `returns`
(a schema's name) and `items` (of a list: the schema of one). A field: name, type, and where they are known `required`,
`allowed`, `default`, `minimum`, `maximum`; `argument` where another field has its Python name already. A type:
`string`, `number`, `integer`, `boolean`, `timestamp`, `any`, `[type]` for a list, `#Name` for a schema.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tools.generate.naming import (
    NICER_SCHEMA,
    OMITTABLE,
    OPEN_FIELDS,
    RESOURCES,
    SAME_SCHEMA,
    argument,
    operation_name,
    pascal,
    snake,
)

_METHODS = ("get", "post", "put", "patch", "delete")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


class Facts:
    """Reads one description."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._schemas = document.get("components", {}).get("schemas", {})
        self.schemas: dict[str, dict[str, Any]] = {}
        self._in_body = False  # what is sent is given as plain data, so it needs no schema

    def read(self, source: str) -> dict[str, Any]:
        """All operations, and the schemas that they need."""
        operations = []
        for path, methods in self._document["paths"].items():
            for method in _METHODS:
                if method in methods:
                    operations.append(self._operation(method.upper(), path, methods[method], methods))
        _tell_apart(operations)
        for operation in operations:
            operation.pop("operation_id")
            for field in operation["body"]:
                if field["name"] in OMITTABLE.get((operation["resource"], operation["name"]), ()):
                    field.pop("required", None)
            _name_arguments(operation)
        operations.sort(key=lambda item: (item["resource"], item["path"], item["method"]))
        return {"source": source, "operations": operations, "schemas": dict(sorted(self.schemas.items()))}

    def _operation(self, method: str, path: str, raw: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
        tag = (raw.get("tags") or ["Other"])[0]
        parameters = [self._resolve(item) for item in [*shared.get("parameters", []), *raw.get("parameters", [])]]
        answer = self._answer(raw)
        items = self._items(answer)
        fact: dict[str, Any] = {
            "resource": RESOURCES.get(tag, snake(tag)),
            "name": operation_name(method, path, raw.get("operationId", f"{method} {path}"), items is not None),
            "operation_id": raw.get("operationId", ""),
            "method": method,
            "path": path,
        }
        if raw.get("x-scopes"):
            fact["scopes"] = sorted(raw["x-scopes"])
        fact["path_params"] = [self._parameter(item) for item in parameters if item.get("in") == "path"]
        fact["query"] = [self._parameter(item) for item in parameters if item.get("in") == "query"]
        fact["body"] = self._body(raw)
        if items is not None:
            fact["items"] = self._type(items, f"{pascal(tag)}Item")
        elif answer is not None:
            fact["returns"] = self._type(answer, f"{pascal(raw.get('operationId', tag))}Result")
        return fact

    def _resolve(self, raw: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in raw:
            found: Any = self._document
            for part in raw["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            raw = found
        return raw

    def _answer(self, raw: dict[str, Any]) -> dict[str, Any] | None:
        for status, response in sorted(raw.get("responses", {}).items()):
            if str(status).startswith("2"):
                content = self._resolve(response).get("content", {})
                for media_type, described in content.items():
                    if "json" in media_type and described.get("schema"):
                        found: dict[str, Any] = described["schema"]
                        return found
        return None

    def _items(self, answer: dict[str, Any] | None) -> dict[str, Any] | None:
        """What a collection is made of; a single key `items` with a list is what makes one."""
        if answer is None:
            return None
        properties = self._resolve(answer).get("properties", {})
        items = properties.get("items")
        if items is None or not set(properties) <= {"items", "notFoundIds"}:
            return None
        return self._resolve(items).get("items")

    def _parameter(self, raw: dict[str, Any]) -> dict[str, Any]:
        schema = self._resolve(raw.get("schema", {}))
        example = raw.get("example", schema.get("example"))
        return self._field(raw["name"], {**schema, "example": example}, bool(raw.get("required")), "")

    def _body(self, raw: dict[str, Any]) -> list[dict[str, Any]]:
        content = self._resolve(raw.get("requestBody", {})).get("content", {})
        for media_type, described in content.items():
            if "json" in media_type:
                schema = self._resolve(described.get("schema", {}))
                required = set(schema.get("required", []))
                self._in_body = True
                try:
                    return [
                        self._field(name, item, name in required, "")
                        for name, item in schema.get("properties", {}).items()
                    ]
                finally:
                    self._in_body = False
        return []

    def _field(self, name: str, schema: dict[str, Any], required: bool, owner: str) -> dict[str, Any]:
        resolved = self._resolve(schema)
        fact: dict[str, Any] = {"name": name, "type": self._type(schema, owner + pascal(name))}
        if required:
            fact["required"] = True
        allowed = resolved.get("enum") or self._resolve(resolved.get("items", {})).get("enum")
        if allowed:
            fact["allowed"] = allowed
        for key in ("default", "minimum", "maximum"):
            if resolved.get(key) is not None:
                fact[key] = resolved[key]
        return fact

    def _type(self, schema: dict[str, Any], name: str) -> Any:
        if "$ref" in schema:
            referred = schema["$ref"].rsplit("/", 1)[-1]
            resolved = self._resolve(schema)
            if resolved.get("enum") or not resolved.get("properties"):
                return self._type(resolved, referred)
            if self._in_body:
                return "object"
            return "#" + self._schema(referred, resolved)
        for combined in ("allOf", "oneOf", "anyOf"):
            parts = schema.get(combined)
            if parts:
                if len(parts) == 1:
                    return self._type(parts[0], name)
                if combined == "allOf":
                    merged: dict[str, Any] = {"properties": {}}
                    for part in parts:
                        merged["properties"].update(self._resolve(part).get("properties", {}))
                    return self._type(merged, name)
                return "any"
        kind = schema.get("type")
        if kind == "array":
            singular = name[:-2] if name.endswith("sses") else name.removesuffix("s")
            return [self._type(schema.get("items", {}), singular)]
        if schema.get("properties"):
            if self._in_body:
                return "object"
            return "#" + self._schema(name, schema)
        if kind == "string":
            example = schema.get("example")
            stamped = schema.get("format") == "date-time" or (isinstance(example, str) and _TIMESTAMP.match(example))
            return "timestamp" if stamped else "string"
        return kind if kind in ("number", "integer", "boolean") else "any"

    def _schema(self, name: str, schema: dict[str, Any]) -> str:
        """Keep a schema, once; one thing under several names has all its fields under one."""
        name = SAME_SCHEMA.get(name, NICER_SCHEMA.get(name, pascal(name)))
        known = self.schemas.setdefault(name, {"fields": []})
        have = {item["name"] for item in known["fields"]}
        for field_name, described in schema.get("properties", {}).items():
            if field_name in have:
                continue
            if (name, field_name) in OPEN_FIELDS:
                known["fields"].append({"name": field_name, "type": "any"})
            else:
                known["fields"].append({"name": field_name, "type": "any"})  # a place, should it refer to itself
                fact = self._field(field_name, described, False, name)
                fact.pop("default", None)
                known["fields"][-1 if known["fields"][-1]["name"] == field_name else _index(known, field_name)] = fact
        return name


def _tell_apart(operations: list[dict[str, Any]]) -> None:
    """Give operations of one resource names of their own: the shortest path keeps the plain name."""
    taken: set[tuple[str, str]] = set()
    for fact in sorted(operations, key=lambda item: (item["path"].count("/"), len(item["path"]), item["path"])):
        words = snake(fact["path"].replace("{", "by ").replace("}", ""))
        choices = [fact["name"], snake(fact["operation_id"]), f"{fact['method'].lower()}_{words}"]
        names = [argument(name) for name in choices if name]
        fact["name"] = next(name for name in names if (fact["resource"], name) not in taken)
        taken.add((fact["resource"], fact["name"]))


def _name_arguments(operation: dict[str, Any]) -> None:
    """Where two fields would be one argument, say by which name the later one goes."""
    taken = {"self", "limit", "page_size"}
    for place in ("path_params", "query", "body"):
        for fact in operation[place]:
            name = argument(fact["name"])
            while name in taken:
                name = f"{place.removesuffix('_params')}_{name}"
            taken.add(name)
            if name != argument(fact["name"]):
                fact["argument"] = name


def _index(schema: dict[str, Any], name: str) -> int:
    return next(index for index, item in enumerate(schema["fields"]) if item["name"] == name)


def read_file(path: Path) -> dict[str, Any]:
    """The facts of one OpenAPI file."""
    return Facts(json.loads(path.read_text("utf-8"))).read(path.name)


def add(facts: dict[str, Any], additions: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the fields in that the cloud sends and no description has, each after the field that it names."""
    for addition in additions:
        fields = facts["schemas"][addition["schema"]]["fields"]
        fields[:] = [field for field in fields if field["name"] != addition["field"]["name"]]
        names = [field["name"] for field in fields]
        fields.insert(names.index(addition["after"]) + 1, addition["field"])
    return facts


def write(facts: dict[str, Any]) -> str:
    """Facts as text: one operation or field a line, so that a change reads well."""
    lines = ["{", f'  "source": {json.dumps(facts["source"])},', '  "operations": [']
    operations = [json.dumps(item, ensure_ascii=False) for item in facts["operations"]]
    lines.append(",\n".join(f"    {item}" for item in operations))
    lines += ["  ],", '  "schemas": {']
    schemas = []
    for name, schema in facts["schemas"].items():
        fields = ",\n".join(f"      {json.dumps(item, ensure_ascii=False)}" for item in schema["fields"])
        schemas.append(f'    {json.dumps(name)}: {{"fields": [\n{fields}\n    ]}}')
    lines.append(",\n".join(schemas))
    lines += ["  }", "}"]
    return "\n".join(lines) + "\n"
