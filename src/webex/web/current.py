"""The client while no user is signed in, for frameworks that have one name for the current user."""

from __future__ import annotations

from typing import NoReturn

from webex.errors import NotSignedInError


class NotSignedIn:
    """Stands for the client: it is false, and any use of it raises `NotSignedInError`, which leads to the sign-in."""

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_signed_in()

    def __repr__(self) -> str:
        return "NotSignedIn()"


def not_signed_in() -> NotSignedInError:
    """Make the error of a request without a user."""
    return NotSignedInError("No user is signed in.")
