"""Every option of a client or an integration refuses a value of a wrong type, and says which option it was."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from webex import AsyncIntegration, AsyncWebex, Integration, Webex
from webex.config.settings import Settings
from webex.errors import ConfigurationError

BASE: dict[str, Any] = {"client_id": "app", "client_secret": "s" * 40, "redirect_uri": "http://127.0.0.1:8000/callback"}
ALWAYS_WRONG = (object(), b"octets", [object()], {5: object()})
SOMETIMES_WRONG = (5, 1.5, True, 0, "", [], {}, (), float("nan"), lambda: None, type)


def options() -> list[Any]:
    found: list[Any] = []
    for made in (Webex, AsyncWebex, Integration, AsyncIntegration):
        parameters = inspect.signature(made.__init__).parameters.values()
        named = [one.name for one in parameters if one.name != "self" and one.kind is not one.VAR_KEYWORD]
        found += [
            pytest.param(made, name, id=f"{made.__name__}-{name}") for name in (*named, *Settings.__annotations__)
        ]
    return found


@pytest.mark.parametrize(("made", "name"), options())
def test_value_of_a_wrong_type_is_refused_by_the_option_s_name(made: Any, name: str) -> None:
    for value in ALWAYS_WRONG:
        with pytest.raises(ConfigurationError) as caught:
            made(**{**BASE, name: value})
        assert name in str(caught.value), repr(value)
    for value in SOMETIMES_WRONG:
        try:
            made(**{**BASE, name: value})
        except ConfigurationError as error:
            assert name in str(error) or value == "", repr(value)  # noqa: PT017 - some values are right


@pytest.mark.parametrize(
    ("made", "name", "value"),
    [
        (Webex, "credentials", 5),
        (Webex, "refresh_callback", []),
        (Webex, "config", []),
        (Webex, "hooks", ""),
        (Webex, "app_name", 5),
        (Webex, "tracking_id_prefix", []),
        (Integration, "environment", []),
        (Integration, "config", 0),
        (Integration, "pool_size", True),
        (AsyncIntegration, "allowed_domains", [5]),
    ],
)
def test_value_that_could_be_mistaken_for_none_or_another_is_refused(made: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        made(**{**BASE, name: value})
