"""The sign-in for Django projects: an app, a middleware, `request.webex` and `await request.awebex()`.

INSTALLED_APPS = [..., "webex.web.django"]
MIDDLEWARE = [..., "webex.web.django.middleware.WebexMiddleware"]
WEBEX_STORAGE = SQLiteStorage(BASE_DIR / "webex.db")

@webex_login_required
def index(request):
    return HttpResponse(request.webex.people.me().display_name)
"""

from __future__ import annotations

from webex.extras import needed_by

with needed_by("webex.web.django"):
    import django as _django  # noqa: F401  # only whether it is there

from webex.web.django.views import webex_login_required

__all__ = ["webex_login_required"]
