"""The settings of the Django project."""

from __future__ import annotations

import os

import shared

SECRET_KEY = shared.SECRETS[0]
SECRET_KEY_FALLBACKS = shared.SECRETS[1:]
ALLOWED_HOSTS = ["*"]
DEBUG = False
ROOT_URLCONF = "django_site"
WSGI_APPLICATION = "django_site.application"
INSTALLED_APPS = ["django.contrib.sessions", "webex.web.django"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "webex.web.django.middleware.WebexMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.file"
SESSION_FILE_PATH = str(shared.FOLDER)
USE_TZ = True
CSRF_USE_SESSIONS = False

WEBEX_STORAGE = shared.storage
WEBEX_SESSION = os.environ.get("APP_SESSION", "webex")
WEBEX_OPTIONS = shared.OPTIONS
