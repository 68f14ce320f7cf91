"""What a single call may change of the settings, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from webex.config.values import is_number
from webex.errors import ConfigurationError, UnknownArgumentError
from webex.http.exchange import Limits
from webex.http.turns import PRIORITIES
from webex.http.types import CallOptions

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.types import Request


def seconds(name: str, value: Any) -> float:
    """Check a time-out of a call, in seconds; `ConfigurationError` for what is no number above 0."""
    if not is_number(value) or value <= 0:
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {value!r}.")
    return float(value)


def size(name: str, value: Any) -> int:
    """Check a size of a call, in bytes; `ConfigurationError` for what is no whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be a whole number of bytes above 0, not {value!r}.")
    return value


class LimitsOf:
    """What the answer to a request may take: the call's own options, else the settings."""

    def __init__(self, config: Config) -> None:
        self._plain = Limits(config.idle_timeout, config.max_response_size)
        self._streamed = Limits(config.idle_timeout, config.max_download_size)

    def __call__(self, request: Request) -> Limits:
        """Return the limits of one call."""
        usual, name = (self._streamed, "max_download_size") if request.stream else (self._plain, "max_response_size")
        idle, own = request.idle_timeout, getattr(request, name)
        if idle is None and own is None:
            return usual
        return Limits(
            usual.idle_timeout if idle is None else seconds("idle_timeout", idle),
            usual.max_size if own is None else size(name, own),
        )


def checked_options(options: Mapping[str, Any]) -> CallOptions:
    """Check the options of a view: an unknown or a wrong one is refused before any call is made."""
    known = CallOptions.__annotations__
    for name, value in options.items():
        if name not in known:
            raise UnknownArgumentError(f"There is no option {name!r} of a call. Known: {', '.join(known)}.")
        if name == "priority":
            if value not in PRIORITIES:
                raise ConfigurationError(f"priority is one of {', '.join(map(repr, PRIORITIES))}, not {value!r}.")
        elif name.endswith("timeout"):
            seconds(name, value)
        elif name.startswith("max_") and name.endswith("_size"):
            size(name, value)
        elif not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ConfigurationError(f"{name} must be a whole number, 0 or more, not {value!r}.")
    return cast(CallOptions, dict(options))
