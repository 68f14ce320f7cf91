"""The one Django project of a test process, and databases of a test's own in it.

Django has one set of settings for each process, so all tests share these: the alias "default" is a database in memory,
and `use_database` points one of the other aliases to a database of the test's own.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections

__all__ = ["set_up", "use_database"]

_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


def set_up() -> None:
    """Configure Django, once."""
    if settings.configured:
        return
    with contextlib.suppress(ModuleNotFoundError):
        _let_django_use_pymysql()
    settings.configure(
        SECRET_KEY="only-for-the-tests-of-this-project",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.web.test_django",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "webex.web.django",
            "webex.storage.django",
        ],
        MIDDLEWARE=[
            _SESSIONS,
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "webex.web.django.middleware.WebexMiddleware",
        ],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:django?mode=memory&cache=shared"},
            "webex": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:webex?mode=memory&cache=shared"},
        },
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)


def _let_django_use_pymysql() -> None:
    """Give PyMySQL and each of its modules the name that Django imports.

    `install_as_MySQLdb` names the package only: Django's import of `MySQLdb.converters` would then load modules a
    second time and put them into the package, and an `except pymysql.err.OperationalError` would catch nothing.
    """
    import pymysql

    pymysql.install_as_MySQLdb()
    for module in pkgutil.walk_packages(pymysql.__path__, "pymysql."):
        sys.modules[module.name.replace("pymysql", "MySQLdb", 1)] = importlib.import_module(module.name)


def use_database(alias: str, database: dict[str, Any]) -> None:
    """Point the alias to a database, for this process."""
    set_up()
    if alias in connections.settings:
        connections[alias].close()
        with contextlib.suppress(AttributeError):
            del connections[alias]
    default = {"default": dict(connections.settings["default"])}
    connections.settings[alias] = connections.configure_settings({**default, alias: dict(database)})[alias]


def sqlite(path: Path) -> dict[str, Any]:
    """Return the settings for a file of SQLite."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
