"""What views need of the sign-in: the decorator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction

from webex.web.current import not_signed_in

View = TypeVar("View", bound=Callable[..., Any])


def webex_login_required(view: View) -> View:
    """Send a person who is not signed in to the sign-in, and a script a 401; also for views that are `async def`.

    A class-based view is wrapped where it is routed: `webex_login_required(RoomList.as_view())`.
    """
    if iscoroutinefunction(view):

        @functools.wraps(view)
        async def asynchronous(request: Any, *args: Any, **kwargs: Any) -> Any:
            if not await request.awebex():
                raise not_signed_in()
            return await view(request, *args, **kwargs)

        return cast("View", asynchronous)

    @functools.wraps(view)
    def blocking(request: Any, *args: Any, **kwargs: Any) -> Any:
        if not request.webex:
            raise not_signed_in()
        return view(request, *args, **kwargs)

    return cast("View", blocking)
