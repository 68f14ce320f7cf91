"""A Django project in one file: URLs, views and both applications; `python django_site.py runserver`."""

from __future__ import annotations

import os
import sys
from typing import Any

import django
import shared
from django.conf import settings

IS_ASGI = os.environ.get("APP_STYLE") == "asgi"

if not settings.configured:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")
    django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from webex.web.django import webex_login_required  # noqa: E402


def answer(value: Any) -> JsonResponse:
    return JsonResponse(value, safe=False)


def public(request: Any) -> Any:
    return answer("public")


def who(request: Any) -> Any:
    return answer(request.webex_session.email if request.webex_session else None)


@webex_login_required
def blocking_me(request: Any) -> Any:
    return answer(request.webex.people.me().emails[0])


@webex_login_required
async def me(request: Any, rest: str = "") -> Any:
    client = await request.awebex()
    return answer((await client.people.me()).emails[0])


def stream(request: Any) -> Any:
    return StreamingHttpResponse(shared.async_pieces() if IS_ASGI else shared.pieces())


urlpatterns = [
    path("", public),
    path("who", who),
    path("me", me if IS_ASGI else blocking_me),
    path("rooms/<path:rest>", me),
    path("stream", stream),
]

application: Any = (
    shared.mounted_asgi(get_asgi_application()) if IS_ASGI else shared.mounted_wsgi(get_wsgi_application())
)

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
