"""Webex as an identity provider for django-allauth.

INSTALLED_APPS += ["allauth.socialaccount", "webex.web.django.allauth"]
SOCIALACCOUNT_PROVIDERS = {"webex": {"APPS": [{"client_id": "…", "secret": "…"}]}}
"""

from __future__ import annotations
