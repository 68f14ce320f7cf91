"""The options of `listen()`, and their validation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict

from webex.config.shapes import items_of
from webex.errors import ConfigurationError
from webex.realtime.records import DEFAULT_NAME
from webex.realtime.resources import RESOURCES

Overflow = Literal["wait", "drop_oldest", "raise"]
Acknowledgement = Literal["auto", "manual"]


class ListenOptions(TypedDict, total=False):
    """Options of `listen()`; all but the first four belong to the socket, one for each person and `device_name`."""

    max_queue: int  # events that may wait to be taken (1,000)
    overflow: Overflow  # what happens to more: "wait" at the cloud (the default), "drop_oldest", or "raise"
    ack: Acknowledgement  # "manual": only event.ack() counts; "auto": asking for the next event acknowledges, too
    max_in_hand: int  # events that may be unacknowledged at once, with ack="manual" (100)
    device_name: str  # each process of a person needs its own; "webex-python-sdk"
    ephemeral: bool  # a registration that lasts only as long as this process
    fenced: bool  # another process may take over while this one is stopped: store by compare-and-swap (False)
    catch_up: float | bool  # how many seconds back to look for what was missed, at most (a day); False: not at all
    connects_per_second: float  # of all users of the process with this option together; 0: no limit (the default)
    first_pause: float  # seconds before the first reconnection; they double up to 32
    ping_interval: float  # seconds from a pong to the next ping (15)
    pong_timeout: float  # seconds to wait for a pong before the socket counts as dead (14)


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The options of `ListenOptions` that belong to the connection."""

    ephemeral: bool = False
    fenced: bool = False
    catch_up: float | bool = True
    connects_per_second: float = 0.0
    first_pause: float = 1.0
    ping_interval: float = 15.0
    pong_timeout: float = 14.0


_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "max_queue": (int,),
    "overflow": (str,),
    "ack": (str,),
    "max_in_hand": (int,),
    "device_name": (str,),
    "ephemeral": (bool,),
    "fenced": (bool,),
    "catch_up": (int, float),
    "connects_per_second": (int, float),
    "first_pause": (int, float),
    "ping_interval": (int, float),
    "pong_timeout": (int, float),
}
_OVERFLOWS: Final = ("wait", "drop_oldest", "raise")
_SUBSCRIPTION: Final = ("max_queue", "overflow", "ack", "max_in_hand")
_LISTENABLE: Final = frozenset({*RESOURCES, "typing", "presence", "*"})


def check_resources(resources: Collection[str]) -> frozenset[str]:
    """Return the names of resources to listen to; `ConfigurationError` for an unknown one."""
    names = (resources,) if isinstance(resources, str) else tuple(items_of("resources", resources, "names"))
    unknown = [name for name in names if not isinstance(name, str) or name not in _LISTENABLE]
    if unknown or not names:
        what = f"There is no resource {unknown[0]!r} to listen to" if unknown else "A subscription needs a resource"
        raise ConfigurationError(f"{what}. Resources are {', '.join(sorted(_LISTENABLE))}.")
    return frozenset(names)


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Return the options of the subscription, the device name and the options of the connection, all validated."""
    for name, value in options.items():
        kinds = _KINDS.get(name)
        if kinds is None:
            raise ConfigurationError(f"listen() has no option {name!r}. It has {', '.join(_KINDS)}.")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds and name != "catch_up"):
            raise ConfigurationError(f"{name} is {value!r}; it takes {' or '.join(kind.__name__ for kind in kinds)}.")
        if isinstance(value, int | float) and not value >= 0:  # a NaN neither
            raise ConfigurationError(f"{name} is {value!r}; it can't be negative.")
    if options.get("overflow", "wait") not in _OVERFLOWS:
        raise ConfigurationError(f"overflow is {options['overflow']!r}; it is 'wait', 'drop_oldest' or 'raise'.")
    if options.get("ack", "auto") not in ("auto", "manual"):
        raise ConfigurationError(f"ack is {options['ack']!r}; it is 'auto' or 'manual'.")
    if "max_in_hand" in options and options.get("ack") != "manual":
        raise ConfigurationError('max_in_hand goes with ack="manual".')
    for name in ("max_queue", "max_in_hand"):
        if options.get(name) == 0:
            raise ConfigurationError(f"{name} is a whole number, 1 or more.")
    device_name = options.get("device_name", DEFAULT_NAME)
    if not device_name:
        raise ConfigurationError("device_name is a text that is not empty.")
    of_subscription = {name: options[name] for name in _SUBSCRIPTION if name in options}
    of_connection = {name: options[name] for name in options if name not in (*_SUBSCRIPTION, "device_name")}
    return of_subscription, device_name, of_connection
