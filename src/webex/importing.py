"""Import an object that a user names as `module:name`, such as a bot or a function that makes a storage."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

__all__ = ["NoSuchNameError", "import_named"]


class NoSuchNameError(ImportError):
    """There is no such module, or no such name in it; `module` is the module, where there is one."""

    def __init__(self, message: str, module: ModuleType | None = None) -> None:
        super().__init__(message)
        self.module: ModuleType | None = module


def import_named(named: str) -> Any:
    """Import `module:name`; modules in the working directory are found too. The name may have dots.

    Raises `NoSuchNameError`. What the module itself raises, such as an `ImportError` of its own, is let through.
    """
    module_name, _, path = named.partition(":")
    if not path or not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise NoSuchNameError(f"{named!r} is not of the form module:name, such as my_app.storage:make_storage")
    if os.getcwd() not in sys.path:  # stays there: what is found may import more when it is used
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise NoSuchNameError(f"there is no module {error.name!r} in {os.getcwd()} or on Python's path") from None
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise NoSuchNameError(f"{module_name} has no {path!r}", module) from None
    return found
