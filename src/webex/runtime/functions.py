"""What kind of function an app has given."""

from __future__ import annotations

import functools
import inspect


def is_asynchronous(function: object) -> bool:
    """Return whether calling this gives something to await: an `async def`, or an object whose `__call__` is one."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    # Of its class: calling a class makes an instance, whatever that does when it is called.
    return inspect.iscoroutinefunction(inspect.getattr_static(type(function), "__call__", None))
