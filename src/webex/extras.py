"""Optional parts of the package (`pip install 'webex[emulator]'`): one place that says which of them is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Module → the extra that installs it.
EXTRAS: Final = {
    "PIL": "images",
    "aio_pika": "rabbitmq",
    "click": "cli",
    "django": "django",
    "fastapi": "fastapi",
    "faststream": "faststream",
    "flask": "flask",
    "jinja2": "emulator",
    "keyring": "keyring",
    "key_value": "keyvalue",
    "opentelemetry": "opentelemetry",
    "litestar": "litestar",
    "nats": "nats",
    "psycopg": "postgres",
    "pyreqwest": "fast",
    "pytest": "testing",
    "python_multipart": "emulator",
    "sqlalchemy": "sqlalchemy",
    "redis": "redis",
    "rich": "cli",
    "starlette": "fastapi",
    "uvicorn": "emulator",
}


def require(what: str, *modules: str, extra: str | None = None) -> None:
    """Raise `MissingExtraError` for the first of these modules that is not installed. Imports none of them."""
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            raise _missing(what, module, extra)


@contextmanager
def needed_by(what: str, extra: str | None = None) -> Iterator[None]:
    """Turn the failing import of an optional package in the block into a `MissingExtraError`."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS and extra is None:
            raise
        raise _missing(what, module, extra) from None


def _missing(what: str, module: str, extra: str | None) -> Exception:
    from webex.errors import MissingExtraError

    return MissingExtraError(
        f"{what} needs {module}, which is not installed: pip install 'webex[{extra or EXTRAS[module]}]'.", name=module
    )
