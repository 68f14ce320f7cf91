"""What `listen()` can be told, and what is wrong about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict

from webex.errors import ConfigurationError
from webex.realtime.device import DEFAULT_NAME
from webex.realtime.event import RESOURCES

Overflow = Literal["wait", "drop_oldest", "raise"]


class ListenOptions(TypedDict, total=False):
    """How to listen. Subscriptions of one person under one `device_name` share a socket, and all but the first two."""

    max_queue: int  # events that may wait to be taken (1,000)
    overflow: Overflow  # what happens to more: "wait" at the cloud (the default), "drop_oldest", or "raise"
    device_name: str  # each process of a person needs its own; "webex-python-sdk"
    ephemeral: bool  # a registration that lasts only as long as this process
    catch_up: float | bool  # how many seconds back to look for what was missed, at most (a day); False: not at all
    first_pause: float  # seconds before the first reconnection; they double up to 32
    ping_interval: float  # seconds from a pong to the next ping (15)
    pong_timeout: float  # seconds to wait for a pong before the socket counts as dead (14)


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Those of the `ListenOptions` that belong to the connection."""

    ephemeral: bool = False
    catch_up: float | bool = True
    first_pause: float = 1.0
    ping_interval: float = 15.0
    pong_timeout: float = 14.0


_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "max_queue": (int,),
    "overflow": (str,),
    "device_name": (str,),
    "ephemeral": (bool,),
    "catch_up": (int, float),
    "first_pause": (int, float),
    "ping_interval": (int, float),
    "pong_timeout": (int, float),
}
_OVERFLOWS: Final = ("wait", "drop_oldest", "raise")
_SUBSCRIPTION: Final = ("max_queue", "overflow")
_HEARD: Final = frozenset({*RESOURCES, "typing"})


def checked_resources(resources: Collection[str]) -> frozenset[str]:
    """The names of resources to hear of; `ConfigurationError` for one that there is not."""
    names = (resources,) if isinstance(resources, str) else tuple(resources)
    unknown = [name for name in names if not isinstance(name, str) or name not in _HEARD]
    if unknown or not names:
        what = f"There is nothing to hear of {unknown[0]!r}" if unknown else "A subscription needs a resource"
        raise ConfigurationError(f"{what}. Resources are {', '.join(sorted(_HEARD))}.")
    return frozenset(names)


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Options of the subscription, the name of the device, and options of the connection; all checked."""
    for name, value in options.items():
        kinds = _KINDS.get(name)
        if kinds is None:
            raise ConfigurationError(f"listen() has no option {name!r}. It has {', '.join(_KINDS)}.")
        if not isinstance(value, kinds) or (isinstance(value, bool) and name not in ("ephemeral", "catch_up")):
            raise ConfigurationError(f"{name} is {value!r}; it takes {' or '.join(kind.__name__ for kind in kinds)}.")
        if isinstance(value, int | float) and not value >= 0:  # a NaN neither
            raise ConfigurationError(f"{name} is {value!r}; it can't be negative.")
    if options.get("overflow", "wait") not in _OVERFLOWS:
        raise ConfigurationError(f"overflow is {options['overflow']!r}; it is 'wait', 'drop_oldest' or 'raise'.")
    if options.get("max_queue") == 0:
        raise ConfigurationError("max_queue is a whole number, 1 or more.")
    device_name = options.get("device_name", DEFAULT_NAME)
    if not device_name:
        raise ConfigurationError("device_name is a text that is not empty.")
    of_subscription = {name: options[name] for name in _SUBSCRIPTION if name in options}
    of_connection = {name: options[name] for name in options if name not in (*_SUBSCRIPTION, "device_name")}
    return of_subscription, device_name, of_connection
