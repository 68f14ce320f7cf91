"""How FastAPI sees a model: validated and described by msgspec. Loaded only when pydantic asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from pydantic_core import core_schema

if TYPE_CHECKING:
    from webex.models.base import Model


def core_schema_of(cls: type[Model]) -> Any:
    """Return a schema that takes a model or a JSON object and gives a JSON object, nested models included."""

    def validate(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"a {cls.__name__} is a JSON object")
        try:
            model = msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        vars(model)["_raw"] = value
        return model

    schema = core_schema.no_info_plain_validator_function(
        validate,
        serialization=core_schema.plain_serializer_function_ser_schema(lambda model: model.to_dict()),
    )
    described = _inlined(cls)
    schema["metadata"] = {"pydantic_js_functions": [lambda _schema, _handler: described]}
    return schema


def _inlined(cls: type[Any]) -> dict[str, Any]:
    (top,), parts = msgspec.json.schema_components((cls,), ref_template="{name}")

    def inline(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            name = value.get("$ref")
            if name is not None:
                return {"type": "object"} if name in path else inline(parts[name], (*path, name))
            return {key: inline(item, path) for key, item in value.items()}
        if isinstance(value, list):
            return [inline(item, path) for item in value]
        return value

    result: dict[str, Any] = inline(top, ())
    return result
