"""A Django project whose people sign in with allauth: `python allauth_site.py PORT`."""

from __future__ import annotations

import os
import sys
from typing import Any

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY=os.environ["SESSION_SECRET"],
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="allauth_site",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.path.join(os.environ["APP_FOLDER"], "site.db"),
            }
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
            "allauth.socialaccount",
            "webex.web.django.allauth",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        ACCOUNT_EMAIL_VERIFICATION="none",
        SOCIALACCOUNT_LOGIN_ON_GET=True,
        SOCIALACCOUNT_STORE_TOKENS=True,
        SOCIALACCOUNT_PROVIDERS={
            "webex": {
                "APPS": [{"client_id": os.environ["WEBEX_CLIENT_ID"], "secret": os.environ["WEBEX_CLIENT_SECRET"]}],
                "SCOPE": ["email", "profile", "spark:all"],
            }
        },
        LOGIN_REDIRECT_URL="/who",
        USE_TZ=True,
        **({"WEBEX_ISSUERS": (os.environ["ONLY_ISSUER"],)} if "ONLY_ISSUER" in os.environ else {}),
    )
    django.setup()

from allauth.socialaccount.models import SocialAccount, SocialToken
from django.core.management import call_command
from django.http import JsonResponse
from django.urls import include, path

from webex import Webex


def who(request: Any) -> JsonResponse:
    if not request.user.is_authenticated:
        return JsonResponse({"user": None})
    account = SocialAccount.objects.get(user=request.user)
    token = SocialToken.objects.get(account=account)
    [address] = request.user.emailaddress_set.all()
    with Webex(token.token) as client:
        me = client.people.me().emails[0]
    return JsonResponse(
        {
            "user": request.user.email,
            "uid": account.uid,
            "name": request.user.get_full_name(),
            "is_verified": address.verified,
            "shown": account.get_provider_account().to_str(),
            "me": me,
        }
    )


urlpatterns = [path("accounts/", include("allauth.urls")), path("who", who)]

if __name__ == "__main__":
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    from django.core.wsgi import get_wsgi_application

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    call_command("migrate", verbosity=0)
    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), handler_class=Quiet).serve_forever()
